// What Prisma wrote before the database was taken over, and what it reads now.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';

import { ADA, ADMIN, PASSWORD, ROWS } from '../rows.mjs';
import { login, send } from '../service.mjs';
import { Prisma, prisma } from '../support.mjs';

const digest = (text) => createHash('sha256').update(text).digest('hex');

/** Tokens are kept as digests since. */
const NOW = {
  ...ROWS,
  session: { ...ROWS.session, refreshToken: digest(ROWS.session.refreshToken) },
};

const plain = (row) =>
  Object.fromEntries(
    Object.entries(row).map(([field, value]) => [field, Prisma.Decimal.isDecimal(value) ? value.toString() : value]),
  );

export default {
  'users are as they were': async () => {
    for (const user of [ADMIN, ADA]) {
      assert.deepEqual(await prisma.user.findUnique({ where: { id: user.id } }), user);
      assert.deepEqual(await prisma.user.findUnique({ where: { email: user.email } }), user);
    }
  },

  'rows of every kind are as they were, and refresh tokens are digests': async () => {
    for (const [model, row] of Object.entries(NOW)) {
      const { user, ...found } = await prisma[model].findUniqueOrThrow({ where: { id: row.id }, include: { user: true } });
      assert.deepEqual(plain(found), row, model);
      assert.equal(user.id, ADA.id);
    }
  },

  'who was there signs in at the service, and sees what they used': async () => {
    const { user, accessToken } = await login(200, ADA.email, PASSWORD);
    assert.deepEqual([user.id, user.role, user.createdAt], [ADA.id, 'user', ADA.createdAt.toISOString()]);
    const { items } = await send(200, 'GET', '/v1/me/usage', null, accessToken);
    assert.deepEqual(items.map((item) => [item.id, item.totalCost]), [[ROWS.userUsageMetric.id, '999999.1234000000']]);
    const period = 'from=2024-05-01&to=2024-05-02';
    const summary = await send(200, 'GET', `/v1/me/usage/summary?${period}`, null, accessToken);
    assert.match(JSON.stringify(summary), /"totalCost":"999999\.1234000000"/);
  },

  'a token of before is no way in any more': async () => {
    const { refreshToken } = ROWS.session;
    for (const token of [refreshToken, digest(refreshToken)]) {
      await send(401, 'POST', '/v1/auth/refresh', { refreshToken: token });
    }
    await send(401, 'POST', '/v1/bridge-tokens/redeem', { token: ROWS.bridgeToken.token });
  },
};
