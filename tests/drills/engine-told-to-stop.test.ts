import { engineToldToStop } from './engine-told-to-stop.drill.ts';
import { testShortForm } from './short-form.ts';

testShortForm(engineToldToStop);
