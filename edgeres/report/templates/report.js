"use strict";
// Draws every chart from the JSON beside it, with the page's colours, and again when light turns to dark.
(() => {
  const config = {
    responsive: true,
    displaylogo: false,
    modeBarButtons: [["zoom2d", "pan2d", "resetScale2d", "toImage"]],
  };
  const plain = { ...config, displayModeBar: false };

  const resolved = (value, styles) => {
    if (typeof value === "string") {
      const name = /^var\((--[a-z0-9-]+)\)$/.exec(value);
      return name ? styles.getPropertyValue(name[1]).trim() : value;
    }
    if (Array.isArray(value)) return value.map((item) => resolved(item, styles));
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, resolved(item, styles)]));
  };

  const draw = () => {
    const styles = getComputedStyle(document.documentElement);
    for (const chart of document.querySelectorAll(".chart")) {
      const figure = JSON.parse(document.getElementById(chart.dataset.figure).textContent);
      const { data, layout } = resolved(figure, styles);
      Plotly.react(chart, data, layout, "plain" in chart.dataset ? plain : config);
    }
  };

  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
})();
