// Relations in both directions, nested writes, counts.

import assert from 'node:assert/strict';

import { freshEmail, later, prisma, refused, somebody } from '../support.mjs';

/** A user with rows of every kind, made by one call. */
const everything = (adminId) =>
  somebody({
    sessions: { create: [{ refreshToken: freshEmail(), expiresAt: later() }] },
    userActivity: { create: [{ action: 'login' }, { action: 'export', data: { rows: 3 } }] },
    adminNotesAsUser: { create: { note: 'called twice', isFlagged: true, admin: { connect: { id: adminId } } } },
    usageMetrics: { create: [{ requestCount: 1, totalTokens: 20, totalCost: '0.3', featureType: 'chat' }] },
    billingHistory: { create: { amount: '12.50', status: 'completed', description: 'Pro' } },
    auditLogsAsUser: { create: { action: 'user.update', details: { by: 'hand' }, admin: { connect: { id: adminId } } } },
    bridgeTokens: { create: { token: freshEmail(), expiresAt: later(), sessionData: { document: 'd-17' } } },
    syncLogs: { create: { eventType: 'note.saved', eventSource: 'web', data: [1, 2] } },
  });

export default {
  'a user is made together with rows of every kind, and all are read from either side': async () => {
    const admin = await somebody();
    const { id } = await everything(admin.id);
    const rows = {
      sessions: true,
      userActivity: { orderBy: { action: 'asc' } },
      adminNotesAsUser: { include: { admin: true } },
      usageMetrics: true,
      billingHistory: true,
      auditLogsAsUser: { include: { admin: true } },
      bridgeTokens: true,
      syncLogs: true,
    };
    const user = await prisma.user.findUniqueOrThrow({ where: { id }, include: rows });
    assert.deepEqual(user.userActivity.map((row) => [row.action, row.data]), [['export', { rows: 3 }], ['login', null]]);
    assert.deepEqual(user.adminNotesAsUser[0].admin, admin);
    assert.deepEqual(user.auditLogsAsUser[0].admin, admin);
    assert.deepEqual([user.billingHistory[0].currency, user.billingHistory[0].status], ['USD', 'completed']);
    assert.deepEqual([user.syncLogs[0].success, user.syncLogs[0].data], [true, [1, 2]]);
    const models = ['session', 'userActivity', 'userUsageMetric', 'billingHistory', 'bridgeToken', 'syncLog', 'adminNote', 'auditLog'];
    for (const model of models) {
      const row = await prisma[model].findFirstOrThrow({ where: { userId: id }, include: { user: true } });
      assert.equal(row.user.id, id, model);
      assert.match(row.id, /^c[a-z0-9]{24}$/);
    }
    const side = await prisma.user.findUniqueOrThrow({
      where: { id: admin.id },
      include: { adminNotesAsAdmin: { include: { user: true } }, auditLogsAsAdmin: true, adminNotesAsUser: true },
    });
    assert.deepEqual([side.adminNotesAsAdmin[0].user.id, side.auditLogsAsAdmin[0].userId], [id, id]);
    assert.deepEqual(side.adminNotesAsUser, []);
  },

  '_count counts each relation, with and without a condition': async () => {
    const { id } = await everything((await somebody()).id);
    const { _count } = await prisma.user.findUniqueOrThrow({ where: { id }, include: { _count: true } });
    assert.deepEqual(_count, {
      sessions: 1,
      userActivity: 2,
      adminNotesAsUser: 1,
      adminNotesAsAdmin: 0,
      usageMetrics: 1,
      billingHistory: 1,
      auditLogsAsUser: 1,
      auditLogsAsAdmin: 0,
      bridgeTokens: 1,
      syncLogs: 1,
    });
    const logins = { select: { userActivity: { where: { action: 'login' } } } };
    const found = await prisma.user.findUniqueOrThrow({ where: { id }, select: { _count: logins } });
    assert.equal(found._count.userActivity, 1);
  },

  'users are found and ordered by what they have': async () => {
    const admin = await somebody();
    const [busy, idle] = [await everything(admin.id), await somebody()];
    const among = { id: { in: [busy.id, idle.id] } };
    const ids = async (query) => (await prisma.user.findMany({ ...query, select: { id: true } })).map(({ id }) => id);
    assert.deepEqual(await ids({ where: { ...among, userActivity: { some: { action: 'login' } } } }), [busy.id]);
    assert.deepEqual(await ids({ where: { ...among, sessions: { none: {} } } }), [idle.id]);
    const byActivity = { orderBy: { userActivity: { _count: 'desc' } } };
    assert.deepEqual(await ids({ where: among, ...byActivity }), [busy.id, idle.id]);
    const flagged = await prisma.adminNote.findMany({ where: { isFlagged: true, user: { email: busy.email } } });
    assert.deepEqual(flagged.map((note) => [note.note, note.adminId]), [['called twice', admin.id]]);
  },

  'nested writes change and remove rows of the other side': async () => {
    const { id } = await everything((await somebody()).id);
    const user = await prisma.user.update({
      where: { id },
      data: {
        userActivity: { deleteMany: { action: 'export' }, create: { action: 'import' } },
        billingHistory: { updateMany: { where: { status: 'completed' }, data: { status: 'refunded' } } },
      },
      include: { userActivity: { orderBy: { action: 'asc' } }, billingHistory: true },
    });
    assert.deepEqual(user.userActivity.map((row) => row.action), ['import', 'login']);
    assert.deepEqual(user.billingHistory.map((row) => row.status), ['refunded']);
  },

  'a row of nobody, and one of a status that is none, are refused': async () => {
    await refused(prisma.userActivity.create({ data: { userId: 'nobody', action: 'login' } }), 'P2003', /user_activity_user_id_fkey/);
    const { id: userId } = await somebody();
    const bill = { userId, amount: '1', status: 'lost' };
    await refused(prisma.billingHistory.create({ data: bill }), 'P2039', /valid_status/);
  },
};
