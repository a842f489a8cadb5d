-- Who is in a project, and who was: then the role is null. Who creates a project as a user is its admin; before there were users nobody was.
create table read_model.project_people (
  project_id text not null,
  user_id text not null,
  -- member, admin
  role text,
  since text not null,
  primary key (project_id, user_id)
);
create index project_people_by_user on read_model.project_people (user_id);
