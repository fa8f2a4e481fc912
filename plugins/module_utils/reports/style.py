# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The frame and the style of the report's page: light and dark, screen and paper, nothing from elsewhere."""

from __future__ import annotations

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""

STYLE = """
:root{--paper:#f6f7f9;--sheet:#fff;--ink:#17202b;--soft:#5b6876;--line:#e1e6ec;--accent:#0b66c3;--good:#11734b;
--good-bg:#e2f4ea;--bad:#b3261e;--bad-bg:#fce8e6;--warn:#8a5a00;--warn-bg:#fdf1d8;--plain-bg:#e8eef6;
--c0:#3566b0;--c1:#c2762b;--c2:#3f8f6b;--c3:#8557a8;--c4:#b04a5a;--c5:#5c7a8a}
@media (prefers-color-scheme:dark){:root{--paper:#0f141a;--sheet:#171e26;--ink:#e6ebf1;--soft:#93a1b0;--line:#2a343f;
--accent:#6cb0ff;--good:#67d5a0;--good-bg:#12301f;--bad:#ff8f86;--bad-bg:#3a1a18;--warn:#f0c060;--warn-bg:#352a10;
--plain-bg:#1e2a38;--c0:#6d9be0;--c1:#e0a060;--c2:#69bf97;--c3:#b58ad6;--c4:#e07f8d;--c5:#8fb0c0}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,
"DejaVu Sans",sans-serif;-webkit-text-size-adjust:100%}
main{max-width:1080px;margin:0 auto;padding:40px 24px 64px}
h1{font-size:34px;line-height:1.15;margin:0 0 4px;letter-spacing:-.02em;overflow-wrap:anywhere}
h2{font-size:19px;margin:0 0 14px;letter-spacing:-.01em}
h3{font-size:17px;margin:0 0 14px;display:flex;gap:10px;align-items:center;flex-wrap:wrap;overflow-wrap:anywhere}
p{margin:0 0 10px}
.over{text-transform:uppercase;letter-spacing:.1em;font-size:12px;font-weight:600;color:var(--soft);margin:0 0 6px}
.route{font-size:17px;color:var(--soft);margin:0 0 16px;overflow-wrap:anywhere}
.arrow{color:var(--accent);padding:0 4px}
.verdict{display:inline-block;padding:7px 14px;border-radius:8px;font-weight:600;margin:0 0 10px}
.verdict.good{background:var(--good-bg);color:var(--good)}
.verdict.bad{background:var(--bad-bg);color:var(--bad)}
.verdict.plain{background:var(--plain-bg)}
.quiet{color:var(--soft)}
.good{color:var(--good)}
.bad{color:var(--bad)}
section{background:var(--sheet);border:1px solid var(--line);border-radius:12px;padding:22px 24px;margin:18px 0}
.cards{list-style:none;padding:0;margin:22px 0 18px;display:grid;gap:14px;
grid-template-columns:repeat(auto-fit,minmax(160px,1fr))}
.cards li{background:var(--sheet);border:1px solid var(--line);border-radius:12px;padding:14px 16px;display:flex;
flex-direction:column;gap:4px}
.cards .label{font-size:13px;color:var(--soft)}
.cards strong{font-size:24px;line-height:1.2;font-weight:650;font-variant-numeric:tabular-nums;white-space:nowrap}
.cards small{font-size:14px;color:var(--soft);font-weight:400}
.cards .quiet{font-size:12px;margin-top:auto}
.bar{display:block;width:100%;height:5px;margin-top:6px}
.rail{fill:var(--line)}
.fill{fill:var(--good)}
.scroll{overflow-x:auto;margin:0 -4px}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
caption{text-align:left;font-weight:600;padding:14px 4px 4px}
th{font-size:12px;font-weight:600;color:var(--soft);text-align:left;padding:6px 12px 6px 4px;
border-bottom:1px solid var(--line);white-space:nowrap}
td{padding:9px 12px 9px 4px;border-bottom:1px solid var(--line);vertical-align:top;overflow-wrap:anywhere}
td span.good,td span.bad,td.num,.pill{white-space:nowrap}
tr:last-child td{border-bottom:0}
th.num,td.num{text-align:right}
.workloads td:first-child{min-width:180px;font-weight:600}
.workloads td:first-child .quiet{font-weight:400}
a{color:var(--accent);text-decoration:none}
a:hover{text-decoration:underline}
code{font:12px/1.5 ui-monospace,SFMono-Regular,Menlo,"DejaVu Sans Mono",monospace;color:var(--soft);
overflow-wrap:anywhere}
td code{white-space:nowrap}
details td code{white-space:normal}
.files td:first-child{width:55%}
code.whole{color:var(--ink)}
.pill{display:inline-block;font-size:12px;font-weight:600;border-radius:99px;padding:2px 10px;
background:var(--plain-bg)}
.pill.moved{background:var(--good-bg);color:var(--good)}
.pill.failed{background:var(--bad-bg);color:var(--bad)}
.pill.under_way,.pill.rolled_back{background:var(--warn-bg);color:var(--warn)}
.findings{list-style:none;margin:0;padding:0;display:grid;gap:10px}
.findings li{display:flex;gap:12px;align-items:baseline;overflow-wrap:anywhere}
.tag{font-size:12px;font-weight:600;border-radius:6px;padding:2px 8px;min-width:76px;flex:none;text-align:center;
background:var(--plain-bg)}
.high .tag{background:var(--bad-bg);color:var(--bad)}
.medium .tag{background:var(--warn-bg);color:var(--warn)}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(220px,1fr));gap:12px 24px;margin:0 0 16px}
.facts.wide{grid-template-columns:1fr}
.facts dt{font-size:12px;color:var(--soft)}
.facts dd{margin:0;overflow-wrap:anywhere}
.time{display:block;width:100%;height:18px;border-radius:5px;margin:4px 0 8px}
.keys{list-style:none;display:flex;flex-wrap:wrap;gap:4px 18px;padding:0;margin:0 0 8px;font-size:13px;
color:var(--soft)}
.keys b{color:var(--ink);font-weight:600}
.keys i{display:inline-block;width:10px;height:10px;border-radius:3px;margin-right:6px}
.records{font-size:13px;overflow-wrap:anywhere}
summary{cursor:pointer;font-weight:600;padding:14px 4px 4px}
rect.c0{fill:var(--c0)}rect.c1{fill:var(--c1)}rect.c2{fill:var(--c2)}
rect.c3{fill:var(--c3)}rect.c4{fill:var(--c4)}rect.c5{fill:var(--c5)}
i.c0{background:var(--c0)}i.c1{background:var(--c1)}i.c2{background:var(--c2)}
i.c3{background:var(--c3)}i.c4{background:var(--c4)}i.c5{background:var(--c5)}
@media print{:root{--paper:#fff;--sheet:#fff;--ink:#000;--soft:#444;--line:#ccc}
body{font-size:11px;-webkit-print-color-adjust:exact;print-color-adjust:exact}
main{max-width:none;padding:0}section,.cards li{break-inside:avoid;padding:12px 14px}section.detail{break-inside:auto}
details::details-content{content-visibility:visible;display:block}a{color:inherit}
td,th{padding-top:4px;padding-bottom:4px}
h1{font-size:24px}.cards strong{font-size:17px}.cards{grid-template-columns:repeat(3,1fr)}.scroll{overflow:visible}}
"""
