import { testShortForm } from '../../drills/short-form.ts';
import { servicesKilled } from './services-killed.drill.ts';

testShortForm(servicesKilled);
