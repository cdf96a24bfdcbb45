// Costs and amounts, to the last digit.

import assert from 'node:assert/strict';

import { Prisma, prisma, refused, somebody } from '../support.mjs';

const cost = async (totalCost) => {
  const { id: userId } = await somebody();
  const { id } = await prisma.userUsageMetric.create({ data: { userId, totalCost } });
  return prisma.userUsageMetric.findUniqueOrThrow({ where: { id } });
};

export default {
  'costs of the document come back as they were': async () => {
    for (const text of ['0', '0.1234', '0.0001', '999999.9999', '12.5']) {
      const { totalCost } = await cost(text);
      assert.ok(Prisma.Decimal.isDecimal(totalCost));
      assert.equal(totalCost.toString(), text);
    }
    const { id: userId } = await somebody();
    const made = await prisma.userUsageMetric.create({ data: { userId } });
    assert.deepEqual([made.requestCount, made.totalTokens, made.totalCost.toString()], [0, 0, '0']);
  },

  'costs that DECIMAL(10,4) could not hold come back to the last digit': async () => {
    for (const text of ['0.0000300000', '0.0000000001', '1234567890.0123456789', '9999999999.9999999999', '-0.0000000001']) {
      const { id, totalCost } = await cost(new Prisma.Decimal(text));
      assert.equal(totalCost.toFixed(10), text);
      const found = await prisma.userUsageMetric.findMany({ where: { id, totalCost: text } });
      assert.equal(found.length, 1, `${text} is not found by its value`);
    }
  },

  'a small cost is shown with an exponent by toString, and without one by toFixed': async () => {
    const { totalCost } = await cost('0.0000000001');
    assert.deepEqual([totalCost.toString(), totalCost.toFixed(10)], ['1e-10', '0.0000000001']);
    assert.equal(JSON.stringify({ totalCost }), '{"totalCost":"1e-10"}');
  },

  'numbers of JavaScript are taken as they are written': async () => {
    assert.equal((await cost(0.1)).totalCost.toString(), '0.1');
    assert.equal((await cost(0.00003)).totalCost.toFixed(5), '0.00003');
  },

  'sums, steps and orders are exact': async () => {
    const { id: userId } = await somebody();
    const most = '9999999999.9999999999';
    const data = [most, most, most, '0.0000000001'].map((totalCost) => ({ userId, totalCost }));
    await prisma.userUsageMetric.createMany({ data });
    const { _sum, _max, _min } = await prisma.userUsageMetric.aggregate({
      where: { userId },
      _sum: { totalCost: true },
      _max: { totalCost: true },
      _min: { totalCost: true },
    });
    assert.equal(_sum.totalCost.toFixed(10), '29999999999.9999999998');
    assert.deepEqual([_max.totalCost.toFixed(10), _min.totalCost.toFixed(10)], [most, '0.0000000001']);
    const { id } = await prisma.userUsageMetric.findFirstOrThrow({ where: { userId, totalCost: { lt: '0.0000000002' } } });
    const step = { totalCost: { increment: '0.0000000001' }, totalTokens: { increment: 7 } };
    const stepped = await prisma.userUsageMetric.update({ where: { id }, data: step });
    assert.deepEqual([stepped.totalCost.toFixed(10), stepped.totalTokens], ['0.0000000002', 7]);
    const rows = await prisma.userUsageMetric.findMany({ where: { userId }, orderBy: { totalCost: 'asc' } });
    assert.equal(rows[0].id, id);
  },

  'a cost and a count that are too large are refused': async () => {
    await refused(cost('10000000000'), 'P2020', /out of range|overflow/);
    const { id: userId } = await somebody();
    const create = (totalTokens) => prisma.userUsageMetric.create({ data: { userId, totalTokens } });
    assert.equal((await create(2 ** 31 - 1)).totalTokens, 2 ** 31 - 1);
    await refused(create(2 ** 31), 'P2020', /out of range/);
  },

  'amounts have two decimals, and are never nothing': async () => {
    const { id: userId } = await somebody();
    const bill = (amount) => prisma.billingHistory.create({ data: { userId, amount, status: 'pending' } });
    for (const text of ['0.01', '12.50', '99999999.99']) {
      assert.equal((await bill(text)).amount.toFixed(2), text);
    }
    for (const none of ['0', '-1']) {
      await refused(bill(none), 'P2039', /positive_amount/);
    }
    await refused(bill('100000000'), 'P2020', /out of range|overflow/);
  },
};
