-- People of a Supabase project, each with something that a move must get right. Their password is "tr0ub4d8", where they have one. Their
-- identifiers end in the number before their name; sessions have that number in their third group.

INSERT INTO auth.users (instance_id, id, aud, role, email, encrypted_password, email_confirmed_at, raw_app_meta_data,
    raw_user_meta_data, created_at, updated_at, confirmation_token, recovery_token, is_sso_user)
SELECT '00000000-0000-0000-0000-000000000000', ('00000000-0000-4000-8000-0000000000' || number)::uuid, 'authenticated',
    'authenticated', email, hash, confirmed, '{"provider":"email"}', data::jsonb, '2024-02-29T12:00:00.123456Z', now(), '', '', number IN ('08', '09')
FROM (VALUES
    -- A name, a picture, two identities, two sessions.
    ('01', 'ada@example.com', '$2a$04$abcdefghijklmnopqrstuu8BOYc4Ytiw4Dxs0wJvirmgyb8ofI0Sy', now(),
        '{"full_name":"Ada Lovelace","name":"ada","avatar_url":"https://example.com/ada.png"}'),
    -- Tokens that are computed. The address was never confirmed; the name is not a text.
    ('02', 'bob@example.com', '$2y$04$abcdefghijklmnopqrstuu8BOYc4Ytiw4Dxs0wJvirmgyb8ofI0Sy', NULL,
        '{"full_name":{"first":"Bob"},"name":"Bob","picture":"https://example.com/bob.png"}'),
    -- Banned for ever.
    ('03', 'cat@example.com', '$2a$04$abcdefghijklmnopqrstuu8BOYc4Ytiw4Dxs0wJvirmgyb8ofI0Sy', now(), '{}'),
    -- Deleted, as the service does it.
    ('04', 'HT1wTjJ2RgKPqyxyuYvEtSLzqkj2bhXNuWnjpDvvMV0', NULL, now(), '{}'),
    -- Anonymous.
    ('05', NULL, NULL, NULL, '{}'),
    -- A telephone and no address.
    ('06', NULL, NULL, NULL, '{}'),
    -- Another kind of hash, and a telephone as well.
    ('07', 'gus@example.com', '$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaA', now(), NULL),
    -- Came by single sign-on, with Ada's address.
    ('08', 'ada@example.com', NULL, now(), '{}'),
    -- Came by single sign-on.
    ('09', 'ivy@example.com', '', now(), '{}'),
    -- An app as a second factor.
    ('10', 'jon@example.com', '$2a$04$abcdefghijklmnopqrstuu8BOYc4Ytiw4Dxs0wJvirmgyb8ofI0Sy', now(), '{}'),
    -- A telephone as a second factor.
    ('11', 'kim@example.com', '$2a$04$abcdefghijklmnopqrstuu8BOYc4Ytiw4Dxs0wJvirmgyb8ofI0Sy', now(), '{}'),
    -- Rights over others, and a name that is none.
    ('12', 'lee@example.com', '$2a$04$abcdefghijklmnopqrstuu8BOYc4Ytiw4Dxs0wJvirmgyb8ofI0Sy', now(),
        '{"full_name":"a\u001b[31mb","avatar_url":"data:image/png;base64,AAAA"}'),
    -- Sessions that do not go on.
    ('13', 'mia@example.com', '$2a$04$abcdefghijklmnopqrstuu8BOYc4Ytiw4Dxs0wJvirmgyb8ofI0Sy', now(), '{}')
) AS person (number, email, hash, confirmed, data)
ORDER BY number;

UPDATE auth.users SET banned_until = 'infinity' WHERE email = 'cat@example.com';
UPDATE auth.users SET deleted_at = now() WHERE id = '00000000-0000-4000-8000-000000000004';
UPDATE auth.users SET is_anonymous = true WHERE id = '00000000-0000-4000-8000-000000000005';
UPDATE auth.users SET phone = '15550100' WHERE id = '00000000-0000-4000-8000-000000000006';
UPDATE auth.users SET phone = '15550101' WHERE email = 'gus@example.com';
UPDATE auth.users SET is_super_admin = true, role = 'service_role' WHERE email = 'lee@example.com';
UPDATE auth.users SET created_at = NULL WHERE email = 'mia@example.com';

INSERT INTO auth.identities (provider_id, user_id, identity_data, provider, last_sign_in_at, created_at, updated_at) VALUES
    ('00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000000001',
        '{"sub":"00000000-0000-4000-8000-000000000001","email":"ada@example.com"}', 'email', NULL, '2024-02-29T12:00:00Z', now()),
    ('117204631875264310984', '00000000-0000-4000-8000-000000000001',
        '{"sub":"117204631875264310984","email":"ada@example.com"}', 'google', '2026-01-02T03:04:05Z', '2025-01-02T03:04:05Z', now());

INSERT INTO auth.oauth_clients (id, registration_type, redirect_uris, grant_types, token_endpoint_auth_method)
VALUES ('00000000-0000-4000-9000-000000000001', 'manual', '', '', 'none');

INSERT INTO auth.sessions (id, user_id, created_at, updated_at, aal, refreshed_at, not_after, oauth_client_id,
    refresh_token_hmac_key, refresh_token_counter)
SELECT session::uuid, ('00000000-0000-4000-8000-0000000000' || number)::uuid, now() - interval '200 days', now(), aal::auth.aal_level,
    (now() AT TIME ZONE 'UTC') - unused::interval, not_after::timestamptz, client::uuid, key, counter
FROM (VALUES
    ('01', '00000000-0000-0001-8000-000000000001', 'aal1', '1 day', NULL, NULL, NULL, NULL::bigint),
    ('01', '00000000-0000-0001-8000-000000000002', NULL, NULL, NULL, NULL, NULL, NULL),
    ('02', '6f1c4a52-9d3e-4b60-8f3b-0b8f4a0f8a11', 'aal1', '1 day', NULL, NULL, 'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8', 128),
    ('03', '00000000-0000-0003-8000-000000000001', 'aal1', '1 day', NULL, NULL, NULL, NULL),
    ('10', '00000000-0000-0010-8000-000000000001', 'aal1', '1 day', NULL, NULL, NULL, NULL),
    ('10', '00000000-0000-0010-8000-000000000002', 'aal2', '1 day', NULL, NULL, NULL, NULL),
    ('11', '00000000-0000-0011-8000-000000000001', 'aal2', '1 day', NULL, NULL, NULL, NULL),
    -- Not used for long; over; a program's; revoked; encrypted.
    ('13', '00000000-0000-0013-8000-000000000001', 'aal1', '100 days', NULL, NULL, NULL, NULL),
    ('13', '00000000-0000-0013-8000-000000000002', 'aal1', '1 day', '2026-01-01', NULL, NULL, NULL),
    ('13', '00000000-0000-0013-8000-000000000003', 'aal1', '1 day', NULL, '00000000-0000-4000-9000-000000000001', NULL, NULL),
    ('13', '00000000-0000-0013-8000-000000000004', 'aal1', '1 day', NULL, NULL, NULL, NULL),
    ('13', '00000000-0000-0013-8000-000000000005', 'aal1', '1 day', NULL, NULL,
        '{"key_id":"k","alg":"aes-gcm-hkdf","data":"eA==","nonce":"AAAAAAAAAAAAAAAA"}', 3)
) AS session (number, session, aal, unused, not_after, client, key, counter);

INSERT INTO auth.refresh_tokens (instance_id, token, user_id, revoked, created_at, updated_at, parent, session_id)
SELECT '00000000-0000-0000-0000-000000000000', token, (SELECT user_id::text FROM auth.sessions WHERE id = session::uuid), revoked,
    now() - interval '100 days', now(), parent, session::uuid
FROM (VALUES
    ('adagrandpa01', true, '', '00000000-0000-0001-8000-000000000001'),
    ('adaparent001', true, 'adagrandpa01', '00000000-0000-0001-8000-000000000001'),
    ('adaactive001', false, 'adaparent001', '00000000-0000-0001-8000-000000000001'),
    ('catactive001', false, '', '00000000-0000-0003-8000-000000000001'),
    ('jonactive001', false, '', '00000000-0000-0010-8000-000000000001'),
    ('jonactive002', false, '', '00000000-0000-0010-8000-000000000002'),
    ('kimactive001', false, '', '00000000-0000-0011-8000-000000000001'),
    ('miaactive001', false, '', '00000000-0000-0013-8000-000000000001'),
    ('miaactive002', false, '', '00000000-0000-0013-8000-000000000002'),
    ('miaactive003', false, '', '00000000-0000-0013-8000-000000000003'),
    ('miarevoked04', true, '', '00000000-0000-0013-8000-000000000004')
) AS token (token, revoked, parent, session);

-- One that was never refreshed: its only token is new.
INSERT INTO auth.refresh_tokens (token, user_id, revoked, created_at, updated_at, parent, session_id)
VALUES ('Zm9vYmFyLWZvb2Jhci1mb2', '00000000-0000-4000-8000-000000000001', false, now(), now(), '', '00000000-0000-0001-8000-000000000002');

INSERT INTO auth.mfa_factors (id, user_id, friendly_name, factor_type, status, created_at, updated_at, secret, phone, last_challenged_at)
VALUES
    (gen_random_uuid(), '00000000-0000-4000-8000-000000000001', 'never confirmed', 'totp', 'unverified', now(), now(), 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP', NULL, NULL),
    (gen_random_uuid(), '00000000-0000-4000-8000-000000000010', 'old app', 'totp', 'verified', now(), now(), 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP', NULL, '2026-01-01'),
    (gen_random_uuid(), '00000000-0000-4000-8000-000000000010', 'app', 'totp', 'verified', '2025-01-01', now(), 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ', NULL, '2026-02-01'),
    (gen_random_uuid(), '00000000-0000-4000-8000-000000000011', 'telephone', 'phone', 'verified', now(), now(), NULL, '15550102', NULL);
