// Writes a row of every kind into a database as Prisma made it, for the checks on what becomes of them.

import { ADA, ADMIN, ROWS } from '../rows.mjs';
import { prisma } from '../support.mjs';

export default {
  'a row of every kind is written': async () => {
    await prisma.user.createMany({ data: [ADMIN, ADA] });
    for (const [model, data] of Object.entries(ROWS)) await prisma[model].create({ data });
  },
};
