// Requests to the service beside which Prisma works.

import assert from 'node:assert/strict';

import { freshEmail, prisma } from './support.mjs';

export const PASSWORD = 'correct horse battery staple';

/** Sends a request, and gives its answer if it has that status. */
export async function send(status, method, path, body, token) {
  const response = await fetch(`${process.env.SUBTLE_URL}${path}`, {
    method,
    headers: {
      ...(body ? { 'content-type': 'application/json', 'idempotency-key': freshEmail() } : {}),
      ...(token ? { authorization: `Bearer ${token}` } : {}),
    },
    body: body && JSON.stringify(body),
  });
  const text = await response.text();
  assert.equal(response.status, status, `${method} ${path}: ${text}`);
  return text ? JSON.parse(text) : null;
}

/** Signs somebody up. */
export const register = () =>
  send(201, 'POST', '/v1/auth/register', { email: freshEmail(), password: PASSWORD, fullName: 'Ada Lovelace' });

/** Tries to sign in. */
export const login = (status, email, password = PASSWORD) =>
  send(status, 'POST', '/v1/auth/login', { email, password });

/** An administrator. Their role is a column that Prisma's models don't know. */
export async function administrator() {
  const { user, accessToken } = await register();
  await prisma.$executeRaw`UPDATE users SET role = 'admin' WHERE id = ${user.id}`;
  return { id: user.id, token: accessToken };
}

/** A key for programs, with which usage and bills are told. */
export async function program({ token }) {
  const scopes = ['usage:write', 'billing:write'];
  return (await send(201, 'POST', '/v1/admin/service-keys', { name: 'gateway', scopes }, token)).key;
}
