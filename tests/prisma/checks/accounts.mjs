// Users, made, read, changed and removed.

import assert from 'node:assert/strict';

import { HASH, freshEmail, justNow, prisma, refused, somebody } from '../support.mjs';

export default {
  'a user is made without id and dates, and has them': async () => {
    const email = freshEmail();
    const made = await prisma.user.create({ data: { email, passwordHash: HASH } });
    assert.match(made.id, /^c[a-z0-9]{24}$/);
    justNow(made.createdAt);
    justNow(made.updatedAt);
    assert.deepEqual(made, {
      id: made.id,
      email,
      passwordHash: HASH,
      fullName: null,
      avatarUrl: null,
      subscriptionTier: 'free',
      emailVerified: false,
      createdAt: made.createdAt,
      updatedAt: made.updatedAt,
    });
    assert.deepEqual(await prisma.user.findUnique({ where: { email } }), made);
  },

  'a change is read again, and moves updatedAt alone': async () => {
    const before = new Date('2024-05-01T08:00:00.123Z');
    const { id } = await somebody({ createdAt: before, updatedAt: before });
    const changes = { fullName: "Ada O'Brien 🦀", avatarUrl: null, subscriptionTier: 'pro', emailVerified: true };
    const changed = await prisma.user.update({ where: { id }, data: changes });
    justNow(changed.updatedAt);
    assert.deepEqual(changed.createdAt, before);
    const { fullName, avatarUrl, subscriptionTier, emailVerified } = changed;
    assert.deepEqual({ fullName, avatarUrl, subscriptionTier, emailVerified }, changes);
    assert.deepEqual(await prisma.user.findUniqueOrThrow({ where: { id } }), changed);
  },

  'what is removed is gone': async () => {
    const ada = await somebody();
    assert.deepEqual(await prisma.user.delete({ where: { id: ada.id } }), ada);
    assert.equal(await prisma.user.findUnique({ where: { id: ada.id } }), null);
    await refused(prisma.user.delete({ where: { id: ada.id } }), 'P2025', /not found|No record/);
    await refused(prisma.user.update({ where: { id: ada.id }, data: {} }), 'P2025', /not found|No record/);
  },

  'an upsert makes, and then changes': async () => {
    const email = freshEmail();
    const upsert = (fullName) =>
      prisma.user.upsert({ where: { email }, create: { email, passwordHash: HASH, fullName }, update: { fullName } });
    const made = await upsert('Ada');
    const changed = await upsert('Augusta');
    assert.deepEqual([made.id, made.fullName, changed.fullName], [changed.id, 'Ada', 'Augusta']);
  },

  'many are made, changed, counted, grouped and removed': async () => {
    const mark = freshEmail();
    const emails = ['a', 'b', 'c'].map((name) => `${name}.${mark}`);
    const data = emails.map((email) => ({ email, passwordHash: HASH, fullName: mark }));
    const where = { fullName: mark };
    assert.deepEqual(await prisma.user.createMany({ data: data.slice(0, 2) }), { count: 2 });
    assert.deepEqual(await prisma.user.createMany({ data, skipDuplicates: true }), { count: 1 });
    const changed = await prisma.user.updateMany({ where: { email: { in: emails.slice(1) } }, data: { subscriptionTier: 'pro' } });
    assert.deepEqual(changed, { count: 2 });
    const groups = await prisma.user.groupBy({
      by: ['subscriptionTier'],
      where,
      _count: { _all: true },
      orderBy: { subscriptionTier: 'asc' },
    });
    assert.deepEqual(groups.map((group) => [group.subscriptionTier, group._count._all]), [['free', 1], ['pro', 2]]);
    assert.deepEqual(await prisma.user.deleteMany({ where }), { count: 3 });
    assert.equal(await prisma.user.count({ where }), 0);
  },

  'values that the document forbids are refused': async () => {
    await refused(somebody({ subscriptionTier: 'gold' }), 'P2039', /valid_subscription_tier/);
    await refused(somebody({ passwordHash: 'admin123' }), 'P2039', /valid_password_hash/);
    await refused(somebody({ email: 'nobody' }), 'P2039', /valid_email/);
  },
};
