// Colour the text by the activations of one unit.
const data = JSON.parse(document.getElementById("data").textContent);
const [slider, name, text, value] =
  ["unit", "name", "text", "value"].map(id => document.getElementById(id));
const bytes = Uint8Array.from(atob(data.values), c => c.charCodeAt(0));
const values = new Int8Array(bytes.buffer), tokens = data.tokens.length;
const spans = data.tokens.map(token => {
  const span = text.appendChild(document.createElement("span"));
  token.split("\n").forEach((part, i) => {
    if (i) { // a line end is coloured, too
      const end = span.appendChild(document.createElement("span"));
      end.className = "end";
      end.textContent = "↵";
      span.append("\n");
    }
    span.append(part);
  });
  return span;
});
const rows = [...document.querySelectorAll("tr[data-unit]")];
const at = (unit, token) => values[unit * tokens + token] / 127;
const told = number => number.toPrecision(2);
const show = unit => {
  spans.forEach((span, token) => {
    const share = at(unit, token), colour = share < 0 ? "--low" : "--high";
    span.style.background = `rgb(var(${colour}) / ${Math.abs(share)})`;
  });
  const [title, scale] = data.units[unit];
  name.textContent = title;
  slider.value = unit;
  slider.setAttribute("aria-valuetext", title);
  document.getElementById("least").textContent = told(-scale);
  document.getElementById("most").textContent = told(scale);
  value.textContent = "";
  for (const row of rows)
    if (+row.dataset.unit === unit) row.setAttribute("aria-current", "true");
    else row.removeAttribute("aria-current");
};
slider.max = data.units.length - 1;
slider.oninput = () => show(+slider.value);
for (const row of rows)
  row.querySelector("button").onclick = () => show(+row.dataset.unit);
document.addEventListener("keydown", event => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!step || event.target === slider || event.altKey || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  show(Math.min(+slider.max, Math.max(0, +slider.value + step)));
});
text.onpointerover = event => {
  const token = spans.indexOf(event.target.closest("#text > span"));
  if (token >= 0) value.textContent =
    `At ${JSON.stringify(data.tokens[token])}: ${told(at(+slider.value, token) * data.units[+slider.value][1])}.`;
};
if (data.units.length) show(0);
