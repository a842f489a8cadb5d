import { gitlabTroubles } from './gitlab-troubles.drill.ts';
import { testShortForm } from './short-form.ts';

testShortForm(gitlabTroubles);
