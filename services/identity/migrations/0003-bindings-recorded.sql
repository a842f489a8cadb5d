-- Who is who in a GitLab stands in the log from now on. What stood here goes there at the next start of an engine that had users
-- before; it is said of it that nothing older is known. A new engine has nothing to tell.
create table identity_bindings_to_record (is_there boolean primary key);
insert into identity_bindings_to_record select true where exists (select from identity_users);
