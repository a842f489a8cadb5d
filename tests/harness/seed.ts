import { configureGlobal } from 'fast-check';

/** SEED= repeats a run: of properties, as of drills. CI takes it from the tree it tests, so that the same code is tried by the same cases. */
const seed = Number(process.env['SEED'] || NaN);
if (Number.isInteger(seed)) configureGlobal({ seed });
