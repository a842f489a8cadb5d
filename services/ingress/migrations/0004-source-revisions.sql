-- Of the fact that told of the last change: an older change that comes late (its answer was lost, and it is sent again) changes nothing.
alter table sources add revision int not null default 0;
