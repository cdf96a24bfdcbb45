// What Prisma wrote before the service took its database over: a row of every kind.

export const PASSWORD = 'correct horse battery staple';

const moment = new Date('2024-05-01T23:30:00.123Z');
const later = new Date('2124-05-01T23:30:00.456Z');
const of = (id, userId) => ({ id, userId, createdAt: moment });

export const ADMIN = {
  id: 'cbefore0000000000000admin',
  email: 'Grace@Before.example',
  passwordHash: '$2b$10$'.padEnd(60, 'x'),
  fullName: null,
  avatarUrl: null,
  subscriptionTier: 'enterprise',
  emailVerified: true,
  createdAt: moment,
  updatedAt: moment,
};

/** Her hash is of PASSWORD. */
export const ADA = {
  ...ADMIN,
  id: 'cbefore00000000000000user',
  email: 'ada@before.example',
  passwordHash: '$2b$04$abcdefghijklmnopqrstuu7EJV7kdjBBQxyb0HjTh9KS7.Lah/6CG',
  fullName: "Ada O'Brien 🦀",
  avatarUrl: 'https://example.com/a.png',
  subscriptionTier: 'free',
  emailVerified: false,
  updatedAt: new Date('2024-05-02T00:00:00.000Z'),
};

/** By the names of their models. Costs and amounts are texts. */
export const ROWS = {
  session: { ...of('cbefore00000000000session', ADA.id), refreshToken: 'a plain token', expiresAt: later },
  userActivity: { ...of('cbefore0000000000activity', ADA.id), action: 'export', data: { rows: [1, null, { n: 0.1 }] } },
  adminNote: { ...of('cbefore00000000000000note', ADA.id), adminId: ADMIN.id, note: 'called\ntwice', isFlagged: true },
  userUsageMetric: {
    ...of('cbefore0000000000000usage', ADA.id),
    requestCount: 3,
    totalTokens: 1200,
    totalCost: '999999.1234',
    featureType: 'chat',
  },
  billingHistory: {
    ...of('cbefore00000000000000bill', ADA.id),
    amount: '12.5',
    currency: 'EUR',
    status: 'completed',
    description: null,
  },
  auditLog: {
    ...of('cbefore0000000000000audit', ADA.id),
    adminId: ADMIN.id,
    action: 'user.update',
    details: { field: 'tier' },
    ipAddress: '::1',
  },
  bridgeToken: {
    ...of('cbefore000000000000bridge', ADA.id),
    token: 'a plain hand-off',
    sessionData: { document: 'd-17' },
    clientIp: '::1',
    userAgent: 'Mac/1.0',
    expiresAt: later,
    usedAt: moment,
  },
  syncLog: {
    ...of('cbefore00000000000000sync', ADA.id),
    eventType: 'note.saved',
    eventSource: 'web',
    data: [1, 2],
    clientIp: null,
    userAgent: null,
    success: false,
    errorMessage: 'offline',
  },
};
