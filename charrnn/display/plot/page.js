// Show a line through all charts at the pointer, and the values there.
const plots = [...document.querySelectorAll(".plot")];
const told = (at, [low, high, log, unit, suffix]) => {
  const value = low + at * (high - low), shown = (log ? 10 ** value : value) / unit;
  return (Math.abs(shown) < 1e4 ? String(+shown.toPrecision(4))
    : Math.round(shown).toLocaleString("en")) + suffix;
};
const points = new Map([...document.querySelectorAll("path")].map(path => {
  const numbers = path.getAttribute("d").match(/-?\d+/g) ?? [], pairs = [];
  for (let i = 0; i < numbers.length; i += 2) pairs.push([+numbers[i], +numbers[i + 1]]);
  return [path, pairs];
}));
const show = event => {
  const box = event.currentTarget.getBoundingClientRect();
  const at = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
  for (const plot of plots) {
    const hair = plot.querySelector(".hair"), out = plot.parentNode.querySelector("output");
    hair.setAttribute("x1", at * 100 + "%");
    hair.setAttribute("x2", at * 100 + "%");
    hair.style.visibility = "visible";
    out.replaceChildren();
    if (plot !== event.currentTarget) continue;
    out.style.inset = at < 0.5 ? "50px 54px auto auto" : "50px auto auto 58px";
    out.append(told(at, JSON.parse(plot.dataset.axis)));
    for (const path of plot.querySelectorAll("path")) {
      const line = points.get(path), far = ([x]) => Math.abs(x - at * 10000);
      if (!line.length || at * 10000 < line[0][0] - 200 || at * 10000 > line.at(-1)[0] + 200)
        continue;
      const near = line.reduce((a, b) => far(b) < far(a) ? b : a);
      const shown = out.appendChild(document.createElement("div"));
      shown.className = path.classList[0];
      shown.textContent =
        path.dataset.name + " " + told(1 - near[1] / 10000, JSON.parse(path.dataset.axis));
    }
  }
};
const hide = () => plots.forEach(plot => {
  plot.querySelector(".hair").style.visibility = "hidden";
  plot.parentNode.querySelector("output").replaceChildren();
});
plots.forEach(plot => { plot.onpointermove = show; plot.onpointerleave = hide; });
