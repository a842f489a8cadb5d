import type { Route } from '../http/router.ts';
import type { Instance } from '../instance.ts';
import { archiveRoutes } from './archive.ts';
import { branchRoutes } from './branches.ts';
import { commitRoutes } from './commits.ts';
import { compareRoutes } from './compare.ts';
import { fileRoutes } from './files.ts';
import { groupRoutes } from './groups.ts';
import { hookRoutes } from './hooks.ts';
import { memberRoutes } from './members.ts';
import { projectChangeRoutes } from './project-changes.ts';
import { projectRoutes } from './projects.ts';
import { tagRoutes } from './tags.ts';
import { treeRoutes } from './trees.ts';
import { userRoutes } from './users.ts';

export function restRoutes(instance: Instance): Route[] {
  return [
    ...userRoutes(instance),
    ...projectRoutes(instance),
    ...projectChangeRoutes(instance),
    ...groupRoutes(instance),
    ...memberRoutes(instance),
    ...branchRoutes(instance),
    ...tagRoutes(instance),
    ...commitRoutes(instance),
    ...treeRoutes(instance),
    ...fileRoutes(instance),
    ...compareRoutes(instance),
    ...archiveRoutes(instance),
    ...hookRoutes(instance),
  ];
}
