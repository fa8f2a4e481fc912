# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The style of all pages: light and dark, screen and paper, nothing from elsewhere."""

from __future__ import annotations

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

ASSESSED = """
:root{--unk:#5b3f99;--unk-bg:#ece6f8}
@media (prefers-color-scheme:dark){:root{--unk:#c3acf5;--unk-bg:#2b2140}}
main.wide{max-width:1320px}
.wide .cards strong{white-space:normal}
section>h3:not(:first-of-type),ul+h3,details+h3{margin-top:20px}
@media (min-width:900px){.wide .cards{grid-template-columns:repeat(4,1fr)}}
nav.tongues{float:right;font-size:14px;display:flex;gap:14px}
a{text-decoration:underline;text-underline-offset:2px}
.skip{position:absolute;left:-999px;top:8px;background:var(--sheet);padding:6px 12px;border:2px solid var(--accent)}
.skip:focus{left:8px;z-index:2}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px;border-radius:3px}
.verdict.unknown{background:var(--unk-bg);color:var(--unk)}
.verdicts{list-style:none;padding:0;margin:0 0 10px;display:flex;flex-wrap:wrap;gap:8px}
.verdicts .verdict{margin:0}
.contents{columns:220px;padding:0 0 0 18px;margin:0}
.pill.ready,.pill.assessed,.pill.complete,.pill.fits{background:var(--good-bg);color:var(--good)}
.pill.ready_with_changes,.pill.partial{background:var(--warn-bg);color:var(--warn)}
.pill.not_ready,.pill.failed,.pill.late,.pill.refused,.pill.blocker{background:var(--bad-bg);color:var(--bad)}
.pill.unknown,.pill.not_read,.pill.open,.pill.not_assessed{background:var(--unk-bg);color:var(--unk);
outline:1px dashed var(--unk);outline-offset:-1px}
.state{display:block;width:100%;height:22px;border-radius:6px;margin:4px 0 10px}
rect.ready{fill:var(--good)}rect.ready_with_changes{fill:#d79a1e}rect.not_ready{fill:var(--bad)}
rect.unknown{fill:url(#hatch)}
.hatch rect{fill:var(--unk-bg)}.hatch path{stroke:var(--unk);stroke-width:3}
.legend{list-style:none;padding:0;margin:0;display:grid;gap:8px 28px;
grid-template-columns:repeat(auto-fit,minmax(230px,1fr))}
.legend b{font-variant-numeric:tabular-nums}
.rules{list-style:none;margin:0;padding:0;display:grid;gap:16px}
.rules>li{border-left:4px solid var(--line);padding:0 0 0 14px;overflow-wrap:anywhere}
.rules>li.blocker{border-color:var(--bad)}.rules>li.warning{border-color:#d79a1e}
.rules>li.gap{border-left-style:dashed;border-color:var(--unk)}
.rules p{margin:2px 0}
.rules ul{margin:4px 0;padding-left:18px}
.rules h3{margin:0 0 2px;font-size:15px}
.blocker .tag{background:var(--bad-bg);color:var(--bad)}
.warning .tag{background:var(--warn-bg);color:var(--warn)}
.gap .tag{background:var(--unk-bg);color:var(--unk)}
.tools{display:flex;flex-wrap:wrap;gap:8px 16px;align-items:end;margin:0 0 12px}
.tools[hidden]{display:none}
.tools label{font-size:13px;color:var(--soft);display:grid;gap:2px;min-width:0}
.tools select{width:220px}
.tools input,.tools select,.tools button{font:inherit;color:var(--ink);background:var(--paper);
border:1px solid var(--soft);border-radius:6px;padding:5px 9px;min-height:34px;max-width:100%}
.tools p{margin:0 0 6px;font-size:13px}
th button{font:inherit;color:inherit;background:none;border:0;padding:2px 0;cursor:pointer;text-align:inherit}
th button::after{content:" ↕";color:var(--soft)}
th[aria-sort=ascending] button::after{content:" ↑";color:var(--ink)}
th[aria-sort=descending] button::after{content:" ↓";color:var(--ink)}
tbody th{font-size:inherit;color:inherit;padding:9px 12px 9px 4px;white-space:normal;vertical-align:top;
overflow-wrap:anywhere;min-width:150px}
tbody tr:last-child th{border-bottom:0}
.wide td{overflow-wrap:break-word}
.wide td li,.wide td bdi{overflow-wrap:anywhere}
td.end{min-width:120px}
td details{margin:0}td summary{padding:2px 0}td p{margin:0 0 4px}
td .quiet,th .quiet{font-weight:400;font-size:13px}
.scroll{position:relative}
.drawing{overflow:auto;max-height:85vh;border:1px solid var(--line);border-radius:8px;background:var(--paper)}
.drawing svg{display:block;margin:0 auto}
.node text{unicode-bidi:isolate}
.node text,.head{font:12px system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;fill:var(--ink)}
.head{font-weight:700}
.node .dot{stroke-width:1.5;stroke:var(--sheet)}
.node.ready .dot{fill:var(--good)}.node.ready_with_changes .dot{fill:#d79a1e}.node.not_ready .dot{fill:var(--bad)}
.node.unknown .dot{fill:var(--unk-bg);stroke:var(--unk);stroke-dasharray:2 1.5}
.edge{fill:none;stroke:var(--soft);stroke-opacity:.55}
.edge.out{stroke:var(--accent);stroke-opacity:.5}
.edge.hard{stroke:var(--ink);stroke-width:3;stroke-opacity:.8}
.tip{fill:var(--accent);fill-opacity:.8}
.drawing.lit .edge{stroke-opacity:.06}.drawing.lit .tip{fill-opacity:.06}
.drawing.lit .edge.on{stroke-opacity:1;stroke-width:2.5}.drawing.lit .tip.on{fill-opacity:1}
.drawing.lit .node text{fill-opacity:.45}.drawing.lit .node.on text{fill-opacity:1;font-weight:700}
.band{fill:none;stroke-width:5}
.band.c0{stroke:var(--c0)}.band.c1{stroke:var(--c1)}.band.c2{stroke:var(--c2)}
.band.c3{stroke:var(--c3)}.band.c4{stroke:var(--c4)}.band.c5{stroke:var(--c5)}
.keyline{width:44px;height:12px;vertical-align:middle;margin-right:8px}
.names{columns:240px;padding-left:18px;margin:4px 0 0;overflow-wrap:anywhere}
details{margin:6px 0}
footer{color:var(--soft);font-size:13px;padding:0 4px}
.late-by{color:var(--bad);font-weight:600}
.sr{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
@media (max-width:560px){main{padding:20px 12px 40px}section{padding:16px 14px}h1{font-size:26px}
.cards{grid-template-columns:repeat(auto-fit,minmax(136px,1fr));gap:10px}nav.tongues{float:none;margin:0 0 10px}}
@media print{.tools,nav.tongues,.skip,.contents-box{display:none}.drawing{overflow:visible;max-height:none;border:0}
.drawing svg{width:100%;height:auto}th button::after{content:""}section{break-inside:auto}
tr,.rules>li{break-inside:avoid}
thead{display:table-header-group}h2,h3{break-after:avoid}main.wide{max-width:none}@page{margin:14mm}}
"""

CERTIFIED = """
:root{color-scheme:light;--ink:#16202e;--soft:#5a6675;--line:#c9d1db;--gold:#8a6d2b;--warn:#8a5a00}
*{box-sizing:border-box}
body{margin:0;background:#eceff3;color:var(--ink);font:15px/1.5 Georgia,"Times New Roman","DejaVu Serif",serif}
.certificate{max-width:210mm;margin:0 auto;padding:24px 12px}
.sheet,.annex{background:#fff;margin:0 0 20px}
.sheet{padding:12mm 16mm 8mm;text-align:center;border:5px double var(--gold);min-height:262mm;display:flex;
flex-direction:column;-webkit-box-decoration-break:clone;box-decoration-break:clone}
.seal{width:104px;height:104px;color:var(--gold);margin:2mm auto;display:block}
.over{letter-spacing:.14em;color:var(--soft);font-size:12px;margin:0}
h1{font-size:38px;line-height:1.15;font-weight:400;margin:2mm 0 4mm;letter-spacing:.01em}
.tenant{font-size:26px;font-style:italic;margin:0;overflow-wrap:anywhere}
.place{color:var(--soft);margin:0 0 4mm;overflow-wrap:anywhere}
.said{max-width:150mm;margin:0 auto 4mm;text-wrap:pretty}
.sum{font-size:22px;margin:0 0 3mm}.sum strong{font-weight:600}.sum span{color:var(--soft)}
table{border-collapse:collapse;width:100%;font-size:13px;text-align:left;margin:0 0 4mm}
th{font-weight:600;color:var(--soft);border-bottom:1.5px solid var(--gold);padding:3px 8px 3px 0;vertical-align:bottom}
td{border-bottom:1px solid var(--line);padding:4px 8px 4px 0;vertical-align:top;overflow-wrap:anywhere}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(43mm,1fr));gap:2mm 5mm;text-align:left;margin:2mm 0}
.facts div{border-bottom:1px solid var(--line);padding:0 0 1mm;min-width:0}
dt{color:var(--soft);font-size:12px}dd{margin:0;overflow-wrap:anywhere}
.people{margin-top:auto;padding-top:4mm}
code,pre{font:11px/1.4 ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace;overflow-wrap:anywhere}
pre{white-space:pre-wrap;border:1px solid var(--line);padding:6px 10px}
small{font-size:11px;color:var(--soft)}
footer{color:var(--soft);font-size:12px;margin-top:4mm}footer p{margin:0}
.annex{padding:12mm 14mm}
h2{font-size:21px;font-weight:400;margin:0 0 4mm;border-bottom:1px solid var(--gold);padding-bottom:1mm}
h3{font-size:15px;margin:4mm 0 2mm}
blockquote{margin:2mm 0 4mm;padding:0 0 0 6mm;border-left:2px solid var(--gold);white-space:pre-line}
b.sampled{color:var(--warn)}
@media (max-width:640px){.sheet{padding:24px;min-height:0}.annex{padding:20px 16px}h1{font-size:28px}}
@page{size:A4;margin:12mm}
@media print{body{background:#fff;font-size:12px;-webkit-print-color-adjust:exact;print-color-adjust:exact}
.certificate{max-width:none;padding:0}.sheet{min-height:268mm;padding-top:8mm;break-after:page;margin:0}
.annex{padding:0;margin:0 0 8mm}tr,.facts div{break-inside:avoid}thead{display:table-header-group}
h2,h3{break-after:avoid}table{font-size:10.5px}code,pre{font-size:9px}}
"""
