// What is kept as JSON.

import assert from 'node:assert/strict';

import { Prisma, prisma, refused, somebody } from '../support.mjs';

const NESTED = {
  text: 'Zürich ✓ 🦀 "quoted" \\ \n',
  numbers: [0, -1, 0.1, 1e21, 9007199254740991],
  deep: { er: [{ still: [[], {}, null, true, false] }] },
  '': 'a key without a name',
};

const write = async (data) => {
  const { id: userId } = await somebody();
  return prisma.userActivity.create({ data: { userId, action: 'x', ...(data === undefined ? {} : { data }) } });
};

export default {
  'what is nested comes back as it was': async () => {
    for (const value of [NESTED, [NESTED, 1], 'text', 0, false, {}, []]) {
      const { id, data } = await write(value);
      assert.deepEqual(data, value);
      const found = await prisma.userActivity.findUniqueOrThrow({ where: { id } });
      assert.deepEqual(found.data, value);
    }
  },

  'no value and the value null are two things': async () => {
    const [none, empty, nothing] = [await write(Prisma.DbNull), await write(Prisma.JsonNull), await write()];
    assert.deepEqual([none.data, empty.data, nothing.data], [null, null, null]);
    const among = { in: [none.id, empty.id, nothing.id] };
    const ids = async (equals) => {
      const rows = await prisma.userActivity.findMany({ where: { id: among, data: { equals } } });
      return rows.map(({ id }) => id).sort();
    };
    assert.deepEqual(await ids(Prisma.DbNull), [none.id, nothing.id].sort());
    assert.deepEqual(await ids(Prisma.JsonNull), [empty.id]);
    assert.equal((await ids(Prisma.AnyNull)).length, 3);
    const [kind] = await prisma.$queryRaw`SELECT jsonb_typeof(data) AS of FROM user_activity WHERE id = ${empty.id}`;
    assert.equal(kind.of, 'null');
  },

  'rows are found by what is inside': async () => {
    const { id } = await write({ plan: { name: 'pro', seats: 3 }, tags: ['new', 'paid'] });
    const finds = async (data) => (await prisma.userActivity.count({ where: { id, data } })) === 1;
    assert.ok(await finds({ path: ['plan', 'name'], equals: 'pro' }));
    assert.ok(await finds({ path: ['plan', 'seats'], gt: 2 }));
    assert.ok(await finds({ path: ['tags'], array_contains: ['paid'] }));
    assert.ok(await finds({ path: ['plan', 'name'], string_starts_with: 'p' }));
    assert.ok(!(await finds({ path: ['plan', 'name'], equals: 'free' })));
  },

  'it is replaced, and taken away': async () => {
    const { id } = await write(NESTED);
    const replaced = await prisma.userActivity.update({ where: { id }, data: { data: { n: 2 } } });
    assert.deepEqual(replaced.data, { n: 2 });
    const removed = await prisma.userActivity.update({ where: { id }, data: { data: Prisma.DbNull } });
    assert.equal(removed.data, null);
  },

  'a character that PostgreSQL has no place for is refused': async () => {
    await refused(write({ text: '\u0000' }), 'P2039', /Unicode/);
  },
};
