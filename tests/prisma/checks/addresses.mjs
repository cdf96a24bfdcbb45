// What must be unique, and is.

import assert from 'node:assert/strict';

import { freshEmail, later, prisma, refused, somebody } from '../support.mjs';

export default {
  'an address that is taken is refused': async () => {
    const { email } = await somebody();
    await refused(somebody({ email }), 'P2002', /users_email_key/);
    const other = await somebody();
    await refused(prisma.user.update({ where: { id: other.id }, data: { email } }), 'P2002', /users_email_key/);
  },

  'it is taken in any case': async () => {
    const { email } = await somebody();
    await refused(somebody({ email: email.toUpperCase() }), 'P2002', /users_email_lower_key/);
    const found = await prisma.user.findFirst({ where: { email: { equals: email.toUpperCase(), mode: 'insensitive' } } });
    assert.equal(found.email, email);
  },

  'of twenty that come at once one gets it': async () => {
    const email = freshEmail();
    const tries = await Promise.allSettled(Array.from({ length: 20 }, () => somebody({ email })));
    const codes = tries.map((outcome) => outcome.reason?.code ?? 'made').sort();
    assert.deepEqual(codes, [...Array(19).fill('P2002'), 'made']);
  },

  'addresses that the document refused are taken': async () => {
    for (const email of [`o'brien.${freshEmail()}`, `${freshEmail()}.xn--p1ai`]) {
      assert.equal((await somebody({ email })).email, email);
    }
  },

  'tokens are unique': async () => {
    const { id: userId } = await somebody();
    const session = { userId, refreshToken: freshEmail(), expiresAt: later() };
    await prisma.session.create({ data: session });
    await refused(prisma.session.create({ data: session }), 'P2002', /sessions_refresh_token_key/);
    const bridge = { userId, token: freshEmail(), expiresAt: later() };
    await prisma.bridgeToken.create({ data: bridge });
    await refused(prisma.bridgeToken.create({ data: bridge }), 'P2002', /bridge_tokens_token_key/);
    const found = await prisma.bridgeToken.findUnique({ where: { token: bridge.token } });
    assert.deepEqual([found.userId, found.usedAt], [userId, null]);
  },

  'a session that ends before it begins is refused': async () => {
    const { id: userId } = await somebody();
    const past = { userId, refreshToken: freshEmail(), expiresAt: new Date(0) };
    await refused(prisma.session.create({ data: past }), 'P2039', /future_expiration/);
  },
};
