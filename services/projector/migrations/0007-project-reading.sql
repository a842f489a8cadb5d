-- Whether the members of a project read a codebase of it, because an admin of the project said so.
alter table read_model.project_codebases add is_read boolean not null default false;
