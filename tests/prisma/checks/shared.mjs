// Rows of the other tables, written on one side and read on the other.

import assert from 'node:assert/strict';

import { administrator, program, register, send } from '../service.mjs';
import { justNow, later, prisma, refused, somebody } from '../support.mjs';

export default {
  'usage and bills of the service are read to the last digit': async () => {
    const key = await program(await administrator());
    const { id: userId } = await somebody();
    const occurredAt = '2024-05-01T08:00:00.123Z';
    const event = { userId, requestCount: 1, totalTokens: 20, totalCost: '0.0000300007', featureType: 'chat', occurredAt };
    const { accepted } = await send(200, 'POST', '/v1/usage/events', { events: [event] }, key);
    assert.equal(accepted, 1);
    const [usage] = await prisma.userUsageMetric.findMany({ where: { userId } });
    assert.deepEqual(
      [usage.totalCost.toFixed(10), usage.totalTokens, usage.featureType, usage.createdAt.toISOString()],
      ['0.0000300007', 20, 'chat', occurredAt],
    );
    await send(201, 'POST', '/v1/billing', { userId, amount: '12.50', description: 'Pro' }, key);
    const [bill] = await prisma.billingHistory.findMany({ where: { userId } });
    assert.deepEqual(
      [bill.amount.toFixed(2), bill.currency, bill.status, bill.description],
      ['12.50', 'USD', 'pending', 'Pro'],
    );
  },

  'a bill that Prisma made is completed by the service, and one step is not taken twice': async () => {
    const key = await program(await administrator());
    const { id: userId } = await somebody();
    const { id } = await prisma.billingHistory.create({ data: { userId, amount: '9.99', status: 'pending' } });
    const { amount, status } = await send(200, 'POST', `/v1/billing/${id}/complete`, {}, key);
    assert.deepEqual([amount, status], ['9.99', 'completed']);
    await send(409, 'POST', `/v1/billing/${id}/complete`, {}, key);
    assert.equal((await prisma.billingHistory.findUniqueOrThrow({ where: { id } })).status, 'completed');
  },

  "activity and usage of Prisma are in the person's own lists": async () => {
    const { user, accessToken } = await register();
    const createdAt = new Date('2024-05-01T08:00:00.123Z');
    await prisma.userActivity.create({ data: { userId: user.id, action: 'export', data: { rows: 3 }, createdAt } });
    await prisma.userUsageMetric.create({ data: { userId: user.id, totalTokens: 7, totalCost: '0.00003', createdAt } });
    const activity = await send(200, 'GET', '/v1/me/activity', null, accessToken);
    const exported = activity.items.find((item) => item.action === 'export');
    assert.deepEqual([exported.data, exported.createdAt], [{ rows: 3 }, createdAt.toISOString()]);
    const { items } = await send(200, 'GET', '/v1/me/usage', null, accessToken);
    assert.deepEqual(
      items.map((item) => [item.totalTokens, item.totalCost, item.createdAt]),
      [[7, '0.0000300000', createdAt.toISOString()]],
    );
  },

  "an administrator's list counts what Prisma counts": async () => {
    const { token } = await administrator();
    const { id, email } = await somebody({ usageMetrics: { create: [{}, {}] }, userActivity: { create: { action: 'x' } } });
    const { users } = await send(200, 'GET', `/v1/admin/users?search=${encodeURIComponent(email)}`, null, token);
    assert.deepEqual(users.map((user) => [user.id, user.counts]), [[id, { activity: 1, usage: 2 }]]);
  },

  'notes and the audit trail of the service are read with who wrote them': async () => {
    const admin = await administrator();
    const { id } = await somebody();
    await send(201, 'POST', `/v1/admin/users/${id}/notes`, { note: 'called twice', isFlagged: true }, admin.token);
    const [note] = await prisma.adminNote.findMany({ where: { userId: id }, include: { admin: true } });
    assert.deepEqual([note.note, note.isFlagged, note.admin.id], ['called twice', true, admin.id]);
    const [entry] = await prisma.auditLog.findMany({ where: { userId: id }, include: { admin: true, user: true } });
    assert.deepEqual([entry.admin.id, entry.user.id, typeof entry.details], [admin.id, id, 'object']);
    justNow(entry.createdAt);
    await refused(prisma.user.delete({ where: { id: admin.id } }), 'P2003', /_admin_id_fkey/);
  },

  'a note of Prisma is in the list of the service': async () => {
    const admin = await administrator();
    const { id: userId } = await somebody();
    await prisma.adminNote.create({ data: { userId, adminId: admin.id, note: 'by hand' } });
    const { items } = await send(200, 'GET', `/v1/admin/users/${userId}/notes`, null, admin.token);
    assert.deepEqual(items.map((item) => item.note), ['by hand']);
  },

  'hand-offs and events of the service are read, and those of Prisma stay out of its feed': async () => {
    const { user, accessToken } = await register();
    const { expiresAt } = await send(201, 'POST', '/v1/bridge-tokens', { sessionData: { document: 'd-17' } }, accessToken);
    const [bridge] = await prisma.bridgeToken.findMany({ where: { userId: user.id } });
    assert.deepEqual([bridge.expiresAt.toISOString(), bridge.sessionData, bridge.usedAt], [expiresAt, { document: 'd-17' }, null]);
    const event = { eventType: 'note.saved', eventSource: 'web', data: { note: 7 } };
    const told = await send(201, 'POST', '/v1/sync/events', event, accessToken);
    const row = await prisma.syncLog.findUniqueOrThrow({ where: { id: told.id } });
    assert.deepEqual([row.data, row.success, row.createdAt.toISOString()], [{ note: 7 }, true, told.createdAt]);
    await prisma.syncLog.create({ data: { userId: user.id, eventType: 'x', eventSource: 'y' } });
    const { items } = await send(200, 'GET', '/v1/sync/events', null, accessToken);
    assert.ok(items.every((item) => item.eventType !== 'x') && items.some((item) => item.id === told.id));
  },

  'a token that Prisma wrote is no way in': async () => {
    const { id: userId } = await somebody();
    const session = { userId, refreshToken: `plain ${userId}`, expiresAt: later() };
    await prisma.session.create({ data: session });
    await send(401, 'POST', '/v1/auth/refresh', { refreshToken: session.refreshToken });
    await prisma.bridgeToken.create({ data: { userId, token: `bridge ${userId}`, expiresAt: later() } });
    await send(401, 'POST', '/v1/bridge-tokens/redeem', { token: `bridge ${userId}` });
  },
};
