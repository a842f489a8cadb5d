-- With which secrets of its source the webhook was last made: the revision at which they were changed, 0 for those it was registered with.
alter table codebase_looks add column hook_secrets int;
