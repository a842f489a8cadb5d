import { runDrills } from '../../drills/run-drills.ts';
import { startServers } from '../global-setup.ts';
import globalTeardown from '../global-teardown.ts';
import { DRILLS } from './all.ts';
import { NEEDED } from './stack-drill.ts';

await runDrills(DRILLS, { command: 'make drills-stack', begin: () => startServers(NEEDED), end: globalTeardown });
