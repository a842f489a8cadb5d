-- Who reads the code of public and internal projects of a source: their members, or whoever is signed in.
alter table read_model.sources add open_projects_read_by text not null default 'members';
