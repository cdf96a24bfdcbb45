// What the checks share: the client, people, refusals.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';

import { PrismaPg } from '@prisma/adapter-pg';
import client from '@prisma/client';

export const { Prisma, PrismaClient } = client;

/** Options of a client: version 7 takes an adapter where the document has `datasources`. */
export const options = () => ({ adapter: new PrismaPg({ connectionString: process.env.DATABASE_URL }) });

export const prisma = new PrismaClient(options());

/** Sixty characters, as the check demands. No password has this hash. */
export const HASH = '$2b$10$'.padEnd(60, 'x');

/** An address that nobody has. */
export const freshEmail = () => `${randomUUID()}@example.com`;

/** A new user. */
export const somebody = (fields = {}) =>
  prisma.user.create({ data: { email: freshEmail(), passwordHash: HASH, ...fields } });

/** In ten minutes: for what expires. */
export const later = () => new Date(Date.now() + 600_000);

/** Prisma must refuse with this code, and say so. */
export async function refused(promise, code, about) {
  const outcome = await promise.then(
    (value) => assert.fail(`it was done, and gave ${JSON.stringify(value)}`),
    (error) => error,
  );
  assert.equal(outcome.code, code, String(outcome));
  assert.match(`${outcome.message} ${JSON.stringify(outcome.meta)}`, about);
}

/** Times of the database are written in the last minute. */
export function justNow(time) {
  assert.ok(Math.abs(Date.now() - time.getTime()) < 60_000, `${time.toISOString()} is not now`);
}
