// The same by its version 2, which many programs still have.
import EventSource from "eventsource2";
import { told } from "./told.mjs";

told(new EventSource(process.argv[2]));
