// Moments, to the millisecond, whatever the time zone of the process.

import assert from 'node:assert/strict';

import { freshEmail, justNow, later, prisma, somebody } from '../support.mjs';

const MOMENTS = [
  '1969-12-31T23:59:59.999Z',
  '1970-01-01T00:00:00.000Z',
  '2024-02-29T23:59:59.987Z',
  '2024-05-01T08:00:00.001Z',
  '2026-03-29T01:30:00.500Z',
  '9999-12-31T23:59:59.999Z',
];

export default {
  'a moment comes back as it was, and is what the database says': async () => {
    for (const moment of MOMENTS) {
      const { id } = await somebody({ createdAt: moment, updatedAt: new Date(moment) });
      const found = await prisma.user.findUniqueOrThrow({ where: { id } });
      assert.deepEqual([found.createdAt.toISOString(), found.updatedAt.toISOString()], [moment, moment]);
      const [raw] = await prisma.$queryRaw`
        SELECT created_at, to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS text
        FROM users WHERE id = ${id}`;
      assert.deepEqual([raw.text, raw.created_at.toISOString()], [moment, moment]);
      await prisma.user.delete({ where: { id } });
    }
  },

  'what the database writes itself is now': async () => {
    const email = freshEmail();
    await prisma.$executeRaw`INSERT INTO users (email, password_hash) VALUES (${email}, repeat('x', 60))`;
    const found = await prisma.user.findUniqueOrThrow({ where: { email } });
    justNow(found.createdAt);
    justNow(found.updatedAt);
    const { id: userId } = found;
    const session = await prisma.session.create({ data: { userId, refreshToken: freshEmail(), expiresAt: later() } });
    justNow(session.createdAt);
    const [{ late }] = await prisma.$queryRaw`
      SELECT abs(extract(epoch FROM clock_timestamp() - created_at)) > 60 AS late FROM sessions WHERE id = ${session.id}`;
    assert.equal(late, false);
  },

  'rows are found by their moment, to the millisecond': async () => {
    const { id: userId } = await somebody();
    const moment = new Date('2024-05-01T08:00:00.123Z');
    const before = new Date(moment.getTime() - 1);
    const data = [before, moment].map((createdAt) => ({ userId, action: 'x', createdAt }));
    await prisma.userActivity.createMany({ data });
    const count = (createdAt) => prisma.userActivity.count({ where: { userId, createdAt } });
    assert.deepEqual([await count(moment), await count({ gte: moment }), await count({ lt: moment })], [1, 1, 1]);
    const [raw] = await prisma.$queryRaw`
      SELECT count(*) AS rows FROM user_activity WHERE user_id = ${userId} AND created_at = ${moment}`;
    assert.equal(raw.rows, 1n);
    const { _min, _max } = await prisma.userActivity.aggregate({
      where: { userId },
      _min: { createdAt: true },
      _max: { createdAt: true },
    });
    assert.deepEqual([_min.createdAt, _max.createdAt], [before, moment]);
  },

  'an empty time is none, and can be set and taken back': async () => {
    const { id: userId } = await somebody();
    const { id, usedAt } = await prisma.bridgeToken.create({ data: { userId, token: freshEmail(), expiresAt: later() } });
    assert.equal(usedAt, null);
    const moment = new Date();
    const used = await prisma.bridgeToken.update({ where: { id }, data: { usedAt: moment } });
    assert.deepEqual(used.usedAt, moment);
    const unused = await prisma.bridgeToken.update({ where: { id }, data: { usedAt: null } });
    assert.equal(unused.usedAt, null);
  },

  'the database speaks UTC to every new connection': async () => {
    const [{ TimeZone }] = await prisma.$queryRaw`SHOW timezone`;
    assert.equal(TimeZone, 'UTC');
  },
};
