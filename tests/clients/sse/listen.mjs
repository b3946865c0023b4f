// The npm package `eventsource`, as a page has it: prints what comes, and comes back by itself.
import { EventSource } from "eventsource";
import { told } from "./told.mjs";

told(new EventSource(process.argv[2]));
