// What goes with a user, what stays, and who can't go.

import assert from 'node:assert/strict';

import { freshEmail, later, prisma, refused, somebody } from '../support.mjs';

const OWNED = ['session', 'userActivity', 'adminNote', 'userUsageMetric', 'billingHistory', 'bridgeToken', 'syncLog'];

async function withRows(adminId) {
  const { id } = await somebody();
  const of = { userId: id };
  await prisma.session.create({ data: { ...of, refreshToken: freshEmail(), expiresAt: later() } });
  await prisma.userActivity.create({ data: { ...of, action: 'login' } });
  await prisma.adminNote.create({ data: { ...of, adminId, note: 'called' } });
  await prisma.userUsageMetric.create({ data: { ...of, totalCost: '0.00003' } });
  await prisma.billingHistory.create({ data: { ...of, amount: '1', status: 'completed' } });
  await prisma.bridgeToken.create({ data: { ...of, token: freshEmail(), expiresAt: later() } });
  await prisma.syncLog.create({ data: { ...of, eventType: 'note.saved', eventSource: 'web' } });
  await prisma.auditLog.create({ data: { ...of, adminId, action: 'user.update', details: { n: 1 }, ipAddress: '::1' } });
  return id;
}

const counts = (userId) => Promise.all(OWNED.map((model) => prisma[model].count({ where: { userId } })));

export default {
  "a user's rows go with them, and the audit trail keeps its own": async () => {
    const admin = await somebody();
    const id = await withRows(admin.id);
    assert.deepEqual(await counts(id), OWNED.map(() => 1));
    await prisma.user.delete({ where: { id } });
    assert.deepEqual(await counts(id), OWNED.map(() => 0));
    const trail = await prisma.auditLog.findMany({ where: { adminId: admin.id }, include: { user: true } });
    assert.deepEqual(trail.map((row) => [row.userId, row.user, row.details, row.ipAddress]), [[null, null, { n: 1 }, '::1']]);
  },

  'whoever wrote a note stays, and so does the one whom it is about': async () => {
    const [admin, ada] = [await somebody(), await somebody()];
    const note = await prisma.adminNote.create({ data: { userId: ada.id, adminId: admin.id, note: 'called' } });
    await refused(prisma.user.delete({ where: { id: admin.id } }), 'P2003', /admin_notes_admin_id_fkey/);
    await refused(
      prisma.user.deleteMany({ where: { id: { in: [admin.id] } } }),
      'P2003',
      /admin_notes_admin_id_fkey/,
    );
    assert.equal(await prisma.user.count({ where: { id: { in: [admin.id, ada.id] } } }), 2);
    await prisma.adminNote.delete({ where: { id: note.id } });
    await prisma.user.delete({ where: { id: admin.id } });
  },

  'whoever is in the audit trail as an administrator stays': async () => {
    const admin = await somebody();
    await prisma.auditLog.create({ data: { adminId: admin.id, action: 'settings.update' } });
    await refused(prisma.user.delete({ where: { id: admin.id } }), 'P2003', /audit_logs_admin_id_fkey/);
  },

  'rows of the audit trail are read and added, and never changed or removed': async () => {
    const admin = await somebody();
    const { id } = await prisma.auditLog.create({ data: { adminId: admin.id, action: 'settings.update' } });
    const only = /rows of audit_logs are only ever added/;
    await refused(prisma.auditLog.update({ where: { id }, data: { action: 'nothing' } }), 'P2039', only);
    await refused(prisma.auditLog.delete({ where: { id } }), 'P2039', only);
    assert.equal((await prisma.auditLog.findUniqueOrThrow({ where: { id } })).action, 'settings.update');
  },

  'each other row is changed and removed by itself': async () => {
    const userId = await withRows((await somebody()).id);
    const changes = [
      { expiresAt: later() },
      { action: 'logout' },
      { isFlagged: true },
      { requestCount: 2 },
      { status: 'refunded' },
      { clientIp: '::1' },
      { success: false, errorMessage: 'offline' },
    ];
    for (const [place, model] of OWNED.entries()) {
      const { id } = await prisma[model].findFirstOrThrow({ where: { userId } });
      const changed = await prisma[model].update({ where: { id }, data: changes[place] });
      for (const [field, value] of Object.entries(changes[place])) {
        assert.deepEqual(changed[field], value, `${model}.${field}`);
      }
      await prisma[model].delete({ where: { id } });
    }
    assert.deepEqual(await counts(userId), OWNED.map(() => 0));
    await prisma.user.delete({ where: { id: userId } });
  },
};
