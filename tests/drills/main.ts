import globalSetup from '../harness/global-setup.ts';
import globalTeardown from '../harness/global-teardown.ts';
import { DRILLS } from './all.ts';
import { runDrills } from './run-drills.ts';

await runDrills(DRILLS, { command: 'make drills', begin: globalSetup, end: globalTeardown });
