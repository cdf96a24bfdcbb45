// The document's own programs, as they stand there but for what this database or version 7 does otherwise.

import assert from 'node:assert/strict';

import { HASH, PrismaClient, freshEmail, options, prisma, somebody } from '../support.mjs';

/** From "Query Optimization", without its types. */
async function getUsersWithPagination(page, pageSize) {
  const [users, total] = await Promise.all([
    prisma.user.findMany({
      skip: (page - 1) * pageSize,
      take: pageSize,
      select: {
        id: true,
        email: true,
        fullName: true,
        subscriptionTier: true,
        createdAt: true,
        _count: {
          select: {
            userActivity: true,
            usageMetrics: true,
          }
        }
      },
      orderBy: {
        createdAt: 'desc'
      }
    }),
    prisma.user.count()
  ]);

  return {
    users,
    total,
    totalPages: Math.ceil(total / pageSize),
    currentPage: page
  };
}

/** From "Seed Data": neither ids nor dates are named. */
const SEED = [
  `INSERT INTO users (email, password_hash, full_name, subscription_tier, email_verified) VALUES
  ('admin@gosubtle.app', '$2b$10$rZ5ZjNRYGnJkZrqGF2.ZJeHqZ5wN5z5GZ5ZjNRYGnJkZrqGF2.ZJe', 'Admin User', 'enterprise', true)`,
  `INSERT INTO users (email, password_hash, full_name, subscription_tier, email_verified) VALUES
  ('user1@example.com', '$2b$10$rZ5ZjNRYGnJkZrqGF2.ZJeHqZ5wN5z5GZ5ZjNRYGnJkZrqGF2.ZJe', 'Test User 1', 'free', true),
  ('user2@example.com', '$2b$10$rZ5ZjNRYGnJkZrqGF2.ZJeHqZ5wN5z5GZ5ZjNRYGnJkZrqGF2.ZJe', 'Test User 2', 'pro', true)`,
  `INSERT INTO user_usage_metrics (user_id, request_count, total_tokens, total_cost, feature_type)
  SELECT
      u.id,
      FLOOR(RANDOM() * 100 + 1)::INT,
      FLOOR(RANDOM() * 10000 + 100)::INT,
      ROUND((RANDOM() * 50 + 1)::NUMERIC, 2),
      CASE FLOOR(RANDOM() * 3)
          WHEN 0 THEN 'chat'
          WHEN 1 THEN 'completion'
          ELSE 'analysis'
      END
  FROM users u`,
];

/** From "Monitoring Queries". */
const MONITORING = [
  `SELECT pid, usename, application_name, client_addr, state, query_start, query
  FROM pg_stat_activity WHERE datname = current_database()`,
  `SELECT schemaname, tablename, pg_size_pretty(pg_total_relation_size(schemaname||'.'||tablename)) as size
  FROM pg_tables WHERE schemaname = 'public' ORDER BY pg_total_relation_size(schemaname||'.'||tablename) DESC`,
  `SELECT schemaname, tablename, attname, n_distinct, correlation FROM pg_stats WHERE schemaname = 'public'`,
];

const summary = async (id) => {
  const rows = await prisma.$queryRaw`SELECT * FROM get_user_activity_summary(${id})`;
  assert.equal(rows.length, 1);
  return rows[0];
};

export default {
  'its client tells of queries, errors and warnings': async () => {
    const heard = [];
    const log = ['query', 'error', 'warn'].map((level) => ({ level, emit: 'event' }));
    const client = new PrismaClient({ ...options(), log });
    client.$on('query', ({ query }) => heard.push(query));
    await client.user.count();
    await client.$disconnect();
    assert.match(heard.join(), /SELECT COUNT.*users/s);
  },

  'its list of users has pages with counts, the newest first': async () => {
    const [one, two] = [await somebody({ fullName: 'One' }), await somebody()];
    await prisma.userActivity.createMany({ data: ['a', 'b'].map((action) => ({ userId: one.id, action })) });
    await prisma.userUsageMetric.create({ data: { userId: one.id } });
    // Ahead of all others, whenever they were made.
    for (const [user, createdAt] of [[one, '2100-01-01T00:00:00.000Z'], [two, '2100-01-01T00:00:00.001Z']]) {
      await prisma.user.update({ where: { id: user.id }, data: { createdAt } });
    }
    const [first, second] = [await getUsersWithPagination(1, 1), await getUsersWithPagination(2, 1)];
    assert.deepEqual([first.users.length, first.users[0].id, first.users[0].email], [1, two.id, two.email]);
    assert.deepEqual(second.users, [
      {
        id: one.id,
        email: one.email,
        fullName: 'One',
        subscriptionTier: 'free',
        createdAt: new Date('2100-01-01T00:00:00.000Z'),
        _count: { userActivity: 2, usageMetrics: 1 },
      },
    ]);
    assert.deepEqual([second.total, second.totalPages, second.currentPage], [first.total, first.total, 2]);
    await prisma.user.deleteMany({ where: { id: { in: [one.id, two.id] } } });
  },

  'its seed data is taken, and what it left out is filled in': async () => {
    const undo = new Error('so that it can be run again');
    const run = prisma.$transaction(async (unit) => {
      for (const statement of SEED) await unit.$executeRawUnsafe(statement);
      const admin = await unit.user.findUniqueOrThrow({
        where: { email: 'admin@gosubtle.app' },
        include: { usageMetrics: true },
      });
      assert.match(admin.id, /^c[a-z0-9]{24}$/);
      assert.match(admin.usageMetrics[0].id, /^c[a-z0-9]{24}$/);
      assert.ok(['chat', 'completion', 'analysis'].includes(admin.usageMetrics[0].featureType));
      assert.ok(admin.usageMetrics[0].totalCost.gte(1) && admin.usageMetrics[0].totalCost.lte(51));
      throw undo;
    });
    await assert.rejects(run, undo);
    assert.equal(await prisma.user.count({ where: { email: 'admin@gosubtle.app' } }), 0);
  },

  'its figures of users count them': async () => {
    const count = async (unit) => {
      const figures = async () => (await unit.$queryRaw`SELECT * FROM get_user_stats()`)[0];
      const before = await figures();
      const { id: userId } = await unit.user.create({ data: { email: freshEmail(), passwordHash: HASH } });
      await unit.userUsageMetric.create({ data: { userId } });
      const idle = await figures();
      await unit.userActivity.create({ data: { userId, action: 'login' } });
      return [before, idle, await figures()];
    };
    // In one transaction, in which it is one day and nobody else comes.
    const [before, idle, active] = await prisma.$transaction(count, { isolationLevel: 'RepeatableRead' });
    const more = (later, sooner, name) => later[name] - sooner[name];
    for (const name of ['total_users', 'new_users_this_week', 'total_usage_metrics']) {
      assert.equal(more(idle, before, name), 1n, name);
    }
    const today = 'active_users_today';
    assert.deepEqual([more(idle, before, today), more(active, idle, today)], [0n, 1n]);
  },

  "its summary of a user's activity has the four figures": async () => {
    const { id: userId } = await somebody();
    assert.deepEqual(await summary(userId), {
      total_actions: 0n,
      actions_this_week: 0n,
      last_activity: null,
      most_common_action: null,
    });
    const [old, last] = [new Date('2024-05-01T08:00:00.123Z'), new Date()];
    const data = [['export', old], ['login', old], ['login', last]];
    await prisma.userActivity.createMany({ data: data.map(([action, createdAt]) => ({ userId, action, createdAt })) });
    assert.deepEqual(await summary(userId), {
      total_actions: 3n,
      actions_this_week: 1n,
      last_activity: last,
      most_common_action: 'login',
    });
  },

  'its monitoring queries are answered': async () => {
    await prisma.$executeRaw`ANALYZE users`;
    for (const query of MONITORING) {
      assert.notEqual((await prisma.$queryRawUnsafe(query)).length, 0, query);
    }
  },

  'rows made by hand are read by the client, and the other way round': async () => {
    const email = freshEmail();
    const made = await prisma.$queryRaw`
      INSERT INTO users (email, password_hash) VALUES (${email}, ${HASH}) RETURNING id`;
    const user = await prisma.user.findUniqueOrThrow({ where: { id: made[0].id } });
    assert.deepEqual([user.email, user.subscriptionTier, user.emailVerified], [email, 'free', false]);
    const [{ found }] = await prisma.$queryRaw`SELECT count(*) AS found FROM users WHERE email = ${email}`;
    assert.equal(found, 1n);
  },
};
