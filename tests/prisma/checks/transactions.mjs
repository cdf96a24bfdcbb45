// All or nothing.

import assert from 'node:assert/strict';

import { HASH, freshEmail, prisma, refused, somebody } from '../support.mjs';

const step = { requestCount: { increment: 1 } };

export default {
  'a list of operations is done as one': async () => {
    const [ada, bob] = [freshEmail(), freshEmail()];
    const create = (email) => prisma.user.create({ data: { email, passwordHash: HASH } });
    await refused(prisma.$transaction([create(ada), create(bob), create(ada)]), 'P2002', /users_email_key/);
    const where = { email: { in: [ada, bob] } };
    assert.equal(await prisma.user.count({ where }), 0);
    await prisma.$transaction([create(ada), create(bob)]);
    assert.equal(await prisma.user.count({ where }), 2);
  },

  'a function that fails leaves nothing, and one that does not leaves all': async () => {
    const { id: userId } = await somebody();
    const write = (fails) =>
      prisma.$transaction(async (unit) => {
        await unit.userActivity.create({ data: { userId, action: 'begun' } });
        assert.equal(await unit.userActivity.count({ where: { userId } }), 1);
        if (fails) throw new Error('changed my mind');
      });
    await assert.rejects(write(true), /changed my mind/);
    assert.equal(await prisma.userActivity.count({ where: { userId } }), 0);
    await write(false);
    assert.equal(await prisma.userActivity.count({ where: { userId } }), 1);
  },

  'a nested write that fails takes its user with it': async () => {
    const email = freshEmail();
    const billingHistory = { create: { amount: '0', status: 'pending' } };
    await refused(somebody({ email, billingHistory }), 'P2039', /positive_amount/);
    assert.equal(await prisma.user.findUnique({ where: { email } }), null);
  },

  'steps that are taken at once are all taken': async () => {
    const { id: userId } = await somebody();
    const { id } = await prisma.userUsageMetric.create({ data: { userId } });
    await Promise.all(
      Array.from({ length: 40 }, () => prisma.userUsageMetric.update({ where: { id }, data: step })),
    );
    const { requestCount } = await prisma.userUsageMetric.findUniqueOrThrow({ where: { id } });
    assert.equal(requestCount, 40);
  },

  'of two serializable ones that contradict each other one is refused': async () => {
    const { id: userId } = await somebody();
    const { id } = await prisma.userUsageMetric.create({ data: { userId } });
    let bothHaveRead;
    const both = new Promise((resolve) => {
      bothHaveRead = resolve;
    });
    let readers = 0;
    const change = () =>
      prisma.$transaction(
        async (unit) => {
          await unit.userUsageMetric.findUniqueOrThrow({ where: { id } });
          readers += 1;
          if (readers === 2) bothHaveRead();
          await both;
          await unit.userUsageMetric.update({ where: { id }, data: step });
        },
        { isolationLevel: 'Serializable' },
      );
    const outcomes = await Promise.allSettled([change(), change()]);
    assert.deepEqual(outcomes.map((outcome) => outcome.reason?.code ?? 'done').sort(), ['P2034', 'done']);
  },
};
