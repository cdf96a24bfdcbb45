// People who came by Prisma, at the service; and people of the service, in Prisma's eyes.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';

import bcrypt from 'bcryptjs';

import { PASSWORD, login, register, send } from '../service.mjs';
import { freshEmail, justNow, prisma, somebody } from '../support.mjs';

const hash = (password) => bcrypt.hash(password, 4);

export default {
  'who was made by Prisma signs in, and nobody else does': async () => {
    const passwordHash = await hash(PASSWORD);
    assert.match(passwordHash, /^\$2b\$04\$/);
    const ada = await somebody({ passwordHash, fullName: 'Ada', subscriptionTier: 'pro', emailVerified: true });
    const { user, session, refreshToken } = await login(200, ada.email);
    assert.deepEqual(
      [user.id, user.fullName, user.subscriptionTier, user.emailVerified, user.createdAt],
      [ada.id, 'Ada', 'pro', true, ada.createdAt.toISOString()],
    );
    await login(401, ada.email, 'a wrong guess');
    const [row, ...others] = await prisma.session.findMany({ where: { userId: ada.id } });
    assert.deepEqual(others, []);
    assert.deepEqual(
      [row.id, row.expiresAt.toISOString(), row.createdAt.toISOString()],
      [session.id, session.expiresAt, session.createdAt],
    );
    assert.equal(row.refreshToken, createHash('sha256').update(refreshToken).digest('hex'));
  },

  'so does who has an address in capitals, or an older kind of hash': async () => {
    const passwordHash = (await hash(PASSWORD)).replace('$2b$', '$2a$');
    const { email } = await somebody({ email: freshEmail().toUpperCase(), passwordHash });
    await login(200, email);
    await login(200, email.toLowerCase());
  },

  'who signed up at the service is read with the right dates': async () => {
    const { user, session } = await register();
    const row = await prisma.user.findUniqueOrThrow({ where: { id: user.id }, include: { sessions: true } });
    assert.deepEqual(
      [row.email, row.fullName, row.emailVerified, row.createdAt.toISOString(), row.updatedAt.toISOString()],
      [user.email, 'Ada Lovelace', false, user.createdAt, user.updatedAt],
    );
    justNow(row.createdAt);
    assert.equal(row.sessions[0].expiresAt.toISOString(), session.expiresAt);
    assert.match(row.passwordHash, /^\$2b\$/);
    assert.ok(await bcrypt.compare(PASSWORD, row.passwordHash));
  },

  'what Prisma changes is what the service shows and asks for': async () => {
    const { user, accessToken } = await register();
    const data = { fullName: 'Augusta', subscriptionTier: 'pro', passwordHash: await hash('another secret 9') };
    const { updatedAt } = await prisma.user.update({ where: { id: user.id }, data });
    const me = await send(200, 'GET', '/v1/me', null, accessToken);
    assert.deepEqual(
      [me.fullName, me.subscriptionTier, me.updatedAt, me.createdAt],
      ['Augusta', 'pro', updatedAt.toISOString(), user.createdAt],
    );
    await login(401, user.email);
    await login(200, user.email, 'another secret 9');
  },

  'what the service changes is what Prisma reads': async () => {
    const { user, accessToken } = await register();
    const { updatedAt } = await send(200, 'PATCH', '/v1/me', { fullName: 'Augusta' }, accessToken);
    const row = await prisma.user.findUniqueOrThrow({ where: { id: user.id } });
    assert.deepEqual([row.fullName, row.updatedAt.toISOString()], ['Augusta', updatedAt]);
  },

  'a session that Prisma removed is not prolonged': async () => {
    const { session, refreshToken } = await register();
    await prisma.session.delete({ where: { id: session.id } });
    await send(401, 'POST', '/v1/auth/refresh', { refreshToken });
  },

  'a user whom Prisma removed is gone': async () => {
    const { user, accessToken, refreshToken } = await register();
    await prisma.user.delete({ where: { id: user.id } });
    await login(401, user.email);
    await send(401, 'POST', '/v1/auth/refresh', { refreshToken });
    await send(401, 'GET', '/v1/me', null, accessToken);
  },

  'an account that was closed can still be read, and tells nothing of its person': async () => {
    const { user, accessToken } = await register();
    await prisma.billingHistory.create({ data: { userId: user.id, amount: '12.50', status: 'completed' } });
    await send(204, 'DELETE', '/v1/me', null, accessToken);
    const row = await prisma.user.findUniqueOrThrow({
      where: { id: user.id },
      include: { billingHistory: true, sessions: true },
    });
    assert.deepEqual([row.fullName, row.sessions, row.billingHistory.length], [null, [], 1]);
    assert.match(row.email, /@erased\.invalid$/);
    await prisma.user.update({ where: { id: user.id }, data: { subscriptionTier: 'free' } });
  },
};
