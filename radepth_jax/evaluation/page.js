// What moves on `report.html`: the curves, and the slider through resolutions.
"use strict";

(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);

  // Colours that are told apart on white and on black, also by most colour-blind people.
  const colors = ["#3b8ad9", "#e0792b", "#2f9e77", "#c659a8", "#a98a12", "#8476e0", "#d24d57"];
  const symbols = ["circle", "square", "diamond", "cross", "triangle-up", "x", "pentagon"];
  const dark = matchMedia("(prefers-color-scheme: dark)");

  // Plotly reads some tags and entities in names; an invisible space keeps a name as it is.
  const literal = (name) => name.replace(/[<&]/g, "$&\u200b");

  function traces(models, metric) {
    const widths = models.flatMap(({ points }) => points.map((point) => point.width)).filter(Boolean);
    const ends = widths.length ? [Math.min(...widths), Math.max(...widths)] : [0, 1];
    return models.flatMap(({ label, points }, number) => {
      const color = colors[number % colors.length];
      const name = literal(label);
      const trace = (own, extra) => ({
        type: "scatter", name, legendgroup: label, marker: { color, size: 9 }, line: { color },
        x: own.map((point) => point.width),
        y: own.map((point) => point.values[metric][0]),
        text: own.map((point) => hover(name, point, metric)),
        hoverinfo: "text",
        error_y: intervals(own, metric, color),
        ...extra,
      });
      const sized = points.filter((point) => point.width && point.resolution !== "native");
      const native = points.filter((point) => point.width && point.resolution === "native");
      const levels = points.filter((point) => !point.width);
      const symbol = symbols[number % symbols.length];
      const found = [];
      if (sized.length) {
        found.push(trace(sized, { mode: "lines+markers", marker: { color, size: 9, symbol } }));
      }
      if (native.length) {
        found.push(trace(native, { mode: "markers", marker: { color, size: 15, symbol: "star" } }));
      }
      for (const level of levels) {
        const line = trace([level, level], { mode: "lines", line: { color, dash: "dash" } });
        found.push({ ...line, x: ends, error_y: undefined });
      }
      return found.map((one, place) => ({ ...one, showlegend: place === 0 }));
    });
  }

  function hover(name, point, metric) {
    const [mean, low, high] = point.values[metric];
    const interval = low === undefined ? "" : ` (${low.toFixed(3)}–${high.toFixed(3)})`;
    return `${name}, ${literal(point.resolution)}<br>${mean.toFixed(3)}${interval}`;
  }

  function intervals(points, metric, color) {
    const all = points.map((point) => point.values[metric]);
    if (all.some((values) => values.length < 3)) return undefined;
    return {
      type: "data", symmetric: false, color, thickness: 1.2, width: 4,
      array: all.map(([mean, , high]) => high - mean),
      arrayminus: all.map(([mean, low]) => mean - low),
    };
  }

  function draw(data, select) {
    const metric = select.value;
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(name).trim();
    const axis = { gridcolor: color("--line"), linecolor: color("--soft"), zeroline: false };
    const label = data.metrics.find(({ name }) => name === metric).label;
    const layout = {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: color("--ink"), family: "system-ui, sans-serif" },
      margin: { l: 70, r: 20, t: 20, b: 60 },
      xaxis: { ...axis, title: { text: "test resolution (width of the network's input)" } },
      yaxis: { ...axis, title: { text: literal(label) }, rangemode: "tozero" },
      legend: { orientation: "h", y: -0.2 },
      showlegend: true, hovermode: "closest",
      hoverlabel: { bgcolor: color("--panel"), font: { color: color("--ink") } },
    };
    const config = { displaylogo: false, responsive: true, showSendToCloud: false };
    Plotly.react("plot", traces(data.models, metric), layout, config);
    document.getElementById("plot").setAttribute("aria-label", `${label} over resolution`);
  }

  function startCurves() {
    const data = read("curves-data");
    const select = document.getElementById("metric");
    for (const { name, label } of data.metrics) select.add(new Option(label, name));
    const redraw = () => draw(data, select);
    select.addEventListener("change", redraw);
    dark.addEventListener("change", redraw);
    redraw();
  }

  // The resolution is in the address too (#resolution=640x192), so that a view can be linked to.
  function startSlider() {
    const slider = document.getElementById("step");
    if (!slider) return;
    const steps = read("steps-data");
    const show = (step) => {
      slider.value = step;
      slider.setAttribute("aria-valuetext", steps[step]);
      document.getElementById("resolution").value = steps[step];
      for (const figure of document.querySelectorAll("figure[data-step]")) {
        figure.hidden = Number(figure.dataset.step) !== step;
      }
    };
    const fromAddress = () => {
      const named = new URLSearchParams(location.hash.slice(1)).get("resolution");
      if (steps.includes(named)) show(steps.indexOf(named));
    };
    slider.addEventListener("input", () => show(Number(slider.value)));
    slider.addEventListener("change", () => {
      history.replaceState(null, "", `#resolution=${steps[slider.value]}`);
    });
    addEventListener("hashchange", fromAddress);
    show(Number(slider.value)); // browsers keep a slider's place over a reload
    fromAddress();
  }

  startSlider();
  startCurves();
})();
