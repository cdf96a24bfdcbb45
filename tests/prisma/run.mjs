// Prisma Client, generated from the document's models, on the database of DATABASE_URL, and beside the service of SUBTLE_URL.
// One line for each check; the first that finds a difference is the last.
//
//     node run.mjs            all but what follows
//     node run.mjs before     writes rows into a database as Prisma made it
//     node run.mjs adopted    all, and what became of those rows when the database was taken over

import accounts from './checks/accounts.mjs';
import addresses from './checks/addresses.mjs';
import adopted from './checks/adopted.mjs';
import before from './checks/before.mjs';
import decimals from './checks/decimals.mjs';
import deletions from './checks/deletions.mjs';
import document from './checks/document.mjs';
import json from './checks/json.mjs';
import relations from './checks/relations.mjs';
import service from './checks/service.mjs';
import shared from './checks/shared.mjs';
import times from './checks/times.mjs';
import transactions from './checks/transactions.mjs';
import { prisma } from './support.mjs';

const ALONE = { accounts, addresses, relations, decimals, json, times, deletions, transactions, document };
const BESIDE = { service, shared };

function stories(word) {
  if (word === 'before') return { before };
  const all = { ...ALONE, ...BESIDE };
  if (word === 'adopted') return { adopted, ...all };
  if (word) throw new Error(`${word} is not known: before, adopted, or nothing`);
  if (process.env.SUBTLE_URL) return all;
  console.log('not run: what needs the service, for SUBTLE_URL does not say where it is');
  return ALONE;
}

async function holds(story, name, check) {
  try {
    await check();
    console.log(`ok      ${story}: ${name}`);
    return true;
  } catch (error) {
    console.error(`NOT OK  ${story}: ${name}`);
    console.error(error);
    return false;
  }
}

async function allHold(stories) {
  for (const [story, checks] of Object.entries(stories)) {
    for (const [name, check] of Object.entries(checks)) {
      if (!(await holds(story, name, check))) return false;
    }
  }
  return true;
}

console.log(`time zone of the process: ${Intl.DateTimeFormat().resolvedOptions().timeZone}`);
process.exitCode = (await allHold(stories(process.argv[2]))) ? 0 : 1;
await prisma.$disconnect();
