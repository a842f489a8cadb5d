import { burst } from './burst.drill.ts';
import type { Drill } from './drill.ts';
import { clockBack } from './clock-back.drill.ts';
import { diskFull } from './disk-full.drill.ts';
import { engineKilled } from './engine-killed.drill.ts';
import { engineToldToStop } from './engine-told-to-stop.drill.ts';
import { postgresKilled } from './postgres-killed.drill.ts';
import { postgresRestarted } from './postgres-restarted.drill.ts';
import { postgresStopped } from './postgres-stopped.drill.ts';
import { stateReadOnly } from './state-read-only.drill.ts';
import { gitlabTroubles } from './gitlab-troubles.drill.ts';
import { hooksTroubles } from './hooks-troubles.drill.ts';
import { hugeBesideSmall } from './huge-beside-small.drill.ts';
import { twoOfAKind } from './two-of-a-kind.drill.ts';

/** In the order in which `make drills` runs them. */
export const DRILLS: readonly Drill[] = [
  engineKilled,
  engineToldToStop,
  postgresKilled, postgresStopped, postgresRestarted,
  diskFull, stateReadOnly, clockBack,
  gitlabTroubles,
  hooksTroubles,
  hugeBesideSmall,
  burst,
  twoOfAKind,
];
