const image = document.getElementById("frame"), slider = document.getElementById("moment");
const button = document.getElementById("play");
let timer = null;
function show() { image.src = "data:image/jpeg;base64," + frames[slider.value]; }
function pause() { clearInterval(timer); timer = null; button.textContent = "play"; }
function advance() { if (slider.value === slider.max) pause(); else { slider.value++; show(); } }
function play() { if (slider.value === slider.max) slider.value = 0;
  timer = setInterval(advance, 250); button.textContent = "pause"; }
slider.addEventListener("input", () => { pause(); show(); });
button.addEventListener("click", () => timer ? pause() : play());
show();
