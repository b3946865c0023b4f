/** Two soft tones, made here: no file has to be loaded. */

const TONES = [
  { pitch: 659.3, at: 0 }, // Hz, s
  { pitch: 880, at: 0.11 },
];
const LOUD = 0.08;
const LASTS = 0.35; // s

let audio = null;

export function chime() {
  audio ??= new AudioContext();
  for (const { pitch, at } of TONES) {
    const start = audio.currentTime + at;
    const tone = new OscillatorNode(audio, { type: "sine", frequency: pitch });
    const volume = new GainNode(audio, { gain: 0 });
    volume.gain.linearRampToValueAtTime(LOUD, start + 0.02);
    volume.gain.exponentialRampToValueAtTime(0.0001, start + LASTS);
    tone.connect(volume).connect(audio.destination);
    tone.start(start);
    tone.stop(start + LASTS);
  }
}
