// The pages of single assays with real values: numbers, pictures, lists of molecules; called by report.js.
const valuePages = ({ number, digits, count, chart, within }) => {
  const short = (value) => (value === null || value === undefined ? "–" :
    Math.abs(value) >= 100 ? Math.round(value).toLocaleString("en") : value.toPrecision(3));
  const interval = (assay, name, say) => (number(assay, name + "_low") === null || number(assay, name + "_low") === undefined ? "" :
    "95 %: " + say(number(assay, name + "_low")) + " to " + say(number(assay, name + "_high")));
  const twoDigits = (value) => digits(value, 2);
  const share = (value) => (value === null || value === undefined ? "–" : digits(100 * value, 0) + " %");

  const boxes = (assay) => {
    const unit = assay.about.scale ? ", " + assay.about.scale : "";
    return [
      ["Concordance", digits(number(assay, "concordance")), interval(assay, "concordance", twoDigits) + within(assay)],
      ["RMSE" + unit, short(number(assay, "rmse")), interval(assay, "rmse", short)],
      ["Mean absolute error" + unit, short(number(assay, "mae")), interval(assay, "mae", short)],
      ["R2", digits(number(assay, "r2")), interval(assay, "r2", twoDigits)],
      ["Spearman's rho", digits(number(assay, "spearman")), interval(assay, "spearman", twoDigits)],
      [assay.about.isLog ? "Within 1 log unit" : "Within 1 of the scale", share(number(assay, "within_1")), "within 0.3: " + share(number(assay, "within_03"))],
      ...(assay.interval[0] === null ? [] : [["90 % interval" + unit, "± " + short(assay.interval[0]), "holds " + share(assay.interval[1]) + " of the test values"]]),
    ];
  };

  const range = (values) => {
    const low = Math.min(...values), high = Math.max(...values), room = 0.05 * (high - low) || 0.5;
    return [low - room, high + room];
  };
  const SIGNS = new Map([[1, "> "], [0, ""], [-1, "< "]]);
  const charts = (assay) => {
    if (!assay.points.length) return [];
    const unit = assay.about.scale ? ", " + assay.about.scale : "";
    const both = range(assay.points.flatMap(([measured, predicted]) => [measured, predicted]));
    const words = ([measured, predicted, bound]) => "measured " + SIGNS.get(bound) + short(measured) + ", predicted " + short(predicted);
    const kinds = ["", "above", "below"];
    const dots = assay.points.map((point) => [point[0], point[1], words(point), 2.2, kinds[point[2] < 0 ? 2 : point[2]]]);
    const exact = assay.points.filter((point) => point[2] === 0);
    const errors = exact.map((point) => [point[1], point[1] - point[0], words(point) + ", error " + short(point[1] - point[0])]);
    const pictures = [chart("Predicted against measured", ["measured" + unit, "predicted"], [both, both], [], dots, [[both[0], both[0]], [both[1], both[1]]])];
    if (errors.length) {
      const across = range(errors.map(([x]) => x)), down = range([0, ...errors.map(([, y]) => y)]);
      pictures.push(chart("Errors", ["predicted" + unit, "predicted - measured"], [across, down], [], errors, [[across[0], 0], [across[1], 0]]));
    }
    return pictures;
  };

  const lists = (assay) => {
    const end = "Good values are " + assay.about.good + ".";
    return [
      ["Predicted better than measured", "The largest errors on this side: false alarms. In bold the prediction. " + end, assay.false],
      ["Measured better than predicted", "The largest errors on this side: missed. In bold the prediction.", assay.missed],
      ["Top of the test part", "The molecules with the best predictions of the test part, measured in this assay or not. Ranks count from the wanted end.", assay.top],
    ];
  };
  return { boxes, charts, lists };
};
