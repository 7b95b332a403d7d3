// The style sheet, light and dark, and the HTML frame around a body.
#include "report/page.h"

namespace streamo::report {
namespace {

constexpr std::string_view kStyle = R"css(
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --line: #e4e7ec; --ink: #16202c; --soft: #667085; --well: #eef1f5;
  --silence: #a9b4c2; --standby: #f0a83c; --response: #2f6fed; --second: #12a594; --bad: #e5484d;
  --shadow: 0 1px 2px rgba(16, 24, 40, .05), 0 1px 3px rgba(16, 24, 40, .06);
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0f1318; --card: #181d24; --line: #2a313b; --ink: #e8ecf1; --soft: #8f9bab; --well: #222933;
    --silence: #566273; --standby: #eba43a; --response: #5b93ff; --second: #2fc4b2; --bad: #ff6369;
    --shadow: none;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 40px 24px 72px; }
h1 { font-size: 30px; line-height: 1.2; letter-spacing: -.02em; margin: 0; }
h2 { font-size: 19px; letter-spacing: -.01em; margin: 44px 0 14px; }
h3 { font-size: 14px; margin: 0; }
.subtitle, .note { color: var(--soft); margin: 6px 0 0; }
.note { font-size: 13px; margin: -8px 0 14px; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 16px 18px;
  margin: 0; box-shadow: var(--shadow); min-width: 0; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(160px, 1fr)); gap: 14px;
  margin-top: 26px; }
.tile b { display: block; font-size: 30px; line-height: 1.15; letter-spacing: -.02em; font-weight: 650;
  font-variant-numeric: tabular-nums; }
.tile b small { font-size: 15px; font-weight: 500; color: var(--soft); letter-spacing: 0; }
.tile span { color: var(--soft); font-size: 13px; }
.grid-2 { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(430px, 100%), 1fr)); gap: 14px; }
figcaption { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 4px 16px;
  margin-bottom: 10px; }
.legend { display: flex; flex-wrap: wrap; gap: 2px 14px; font-size: 13px; color: var(--soft); }
.legend b { color: var(--ink); font-weight: 600; font-variant-numeric: tabular-nums; }
.key::before { content: ""; display: inline-block; width: 9px; height: 9px; border-radius: 3px;
  margin-right: 6px; background: currentColor; background: var(--colour); }
svg { display: block; width: 100%; height: auto; font-family: inherit; }
.silence { --colour: var(--silence); } .standby { --colour: var(--standby); }
.response, .series-0 { --colour: var(--response); }
.series-1 { --colour: var(--standby); } .series-2 { --colour: var(--second); }
.curve { fill: none; stroke: var(--colour); stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.curve.faint { stroke-width: 1; opacity: .28; } .curve.thin { stroke-width: 1.5; }
.fill { fill: var(--colour); } .well { fill: var(--well); } .mark, .wrong { fill: var(--bad); }
.right { fill: var(--response); } .late { fill: var(--silence); }
.grid { stroke: var(--line); } .axis { stroke: var(--soft); }
.tick { fill: var(--soft); font-size: 11px; font-variant-numeric: tabular-nums; }
.label { fill: var(--ink); font-size: 12px; font-variant-numeric: tabular-nums; }
.cell { fill: var(--ink); font-size: 15px; font-weight: 600; } .cell-count { fill: var(--soft); font-size: 11px; }
.cell.on, .cell-count.on { fill: #fff; }
table { width: 100%; border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; }
th { text-align: left; color: var(--soft); font-weight: 500; font-size: 13px; }
th, td { padding: 7px 10px 7px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
tr:last-child td { border-bottom: 0; }
.number { text-align: right; }
.below { color: var(--soft); font-size: 13px; margin: 10px 0 0; }
.diagonal { stroke: var(--soft); stroke-dasharray: 4 4; }
.meter { display: inline-block; width: 90px; height: 6px; border-radius: 3px; background: var(--well);
  margin-right: 10px; vertical-align: middle; overflow: hidden; }
.meter i { display: block; height: 100%; border-radius: 3px; background: var(--response); }
.timeline { margin-bottom: 14px; }
.timeline header { display: flex; justify-content: space-between; gap: 12px; margin-bottom: 10px; }
.tag { color: var(--soft); font-size: 12px; border: 1px solid var(--line); border-radius: 99px;
  padding: 1px 10px; white-space: nowrap; }
.tag:empty { display: none; }
.dialogue { list-style: none; margin: 8px 0 0; padding: 0; font-size: 14px; }
.dialogue li { display: grid; grid-template-columns: 62px 56px 1fr; gap: 4px; padding: 2px 0; }
.dialogue time { color: var(--soft); text-align: right; padding-right: 10px;
  font-variant-numeric: tabular-nums; }
.dialogue i { font-style: normal; color: var(--soft); }
.dialogue span { overflow-wrap: anywhere; }
.asked span { font-weight: 600; } .said i { color: var(--response); font-weight: 600; }
.agreed i { color: var(--second); font-weight: 600; } .agreed i::after { content: " \2713"; }
.due span { color: var(--soft); }
.settings { columns: 3 300px; column-gap: 14px; }
.settings .card { break-inside: avoid; margin-bottom: 14px; padding: 12px 16px; }
.settings td { padding: 3px 0; font-size: 13px; border: 0; overflow-wrap: anywhere; }
.settings td:first-child { color: var(--soft); padding-right: 12px; white-space: nowrap; width: 45%; }
footer { margin-top: 44px; color: var(--soft); font-size: 13px; }
)css";

}  // namespace

std::string html_page(const std::string& title, const std::string& body, std::string_view style) {
  std::string page =
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"generator\" content=\"streamo\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>";
  page.append(title).append("</title>\n<style>").append(kStyle).append(style);
  page.append("</style>\n</head>\n<body>\n<main>\n").append(body);
  return page + "</main>\n</body>\n</html>\n";
}

core::IsOurs is_our_page() {
  return core::holds_mark("<meta name=\"generator\" content=\"streamo\">");
}

}  // namespace streamo::report
