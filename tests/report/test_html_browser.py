"""The HTML report in headless Chromium: sorting, filtering, tooltips, curves; skipped without playwright or Chromium.

Chromium is looked for at $LNLBENCH_CHROMIUM, then on the path.
"""

from __future__ import annotations

import os
import re
import shutil

import pytest
from html_page import ERROR, HOSTILE, ROWS, fill, made_plan, made_table

from lnlbench.report.html import render_report

sync_api = pytest.importorskip("playwright.sync_api")

CHROMIUM = os.environ.get("LNLBENCH_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: install it, or set LNLBENCH_CHROMIUM")


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    return made_plan(tmp_path_factory.mktemp("plan"))


@pytest.fixture(scope="module")
def address(tmp_path_factory, plan):
    folder = tmp_path_factory.mktemp("page")
    file = folder / "report.html"
    with fill(folder / "runs.sqlite", plan) as store:
        table = made_table(store, plan)
        file.write_text(render_report(store, [(plan, table), (plan, table)], "runs.sqlite"), encoding="utf-8")
    return file.as_uri()


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as play:
        found = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def opened(browser, address):
    """Opens the page; at the end, nothing was requested but the file, and nothing was said on the console."""
    contexts, requests, said = [], [], []

    def open_page(width=1300, height=900, **options):
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        tab = context.new_page()
        tab.on("request", lambda request: requests.append(request.url))
        tab.on("console", lambda message: said.append(message.text))
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.on("dialog", lambda dialog: said.append(dialog.message) or dialog.dismiss())
        tab.goto(address)
        return tab

    yield open_page
    for context in contexts:
        context.close()
    assert {url.partition("#")[0] for url in requests} == {address}
    assert said == []


@pytest.fixture
def tab(opened):
    return opened()


def labels(table):
    return [text.strip() for text in table.locator("tbody.row:visible th[scope=row] bdi").all_inner_texts()]


def cell(tab, row, column=0, line=0):
    body = tab.locator("table").first.locator("tbody.row").nth(row)
    return body.locator("tr").nth(line).locator("td[data-place]").nth(column)


def head(tab, text):
    return tab.locator("table").first.locator("th[data-column]", has_text=text)


# Spaces and line separators are shown as one space.
SHOWN = [re.sub(r"\s+", " ", label) for label in ROWS]
FALLING = [SHOWN[i] for i in (0, 1, 3, 2, 4)]
RISING = [SHOWN[i] for i in (2, 3, 0, 1, 4)]


def test_a_column_sorts_by_value_best_first_then_the_other_way_then_not_at_all(tab):
    table = tab.locator("table").first
    shown = labels(table)
    assert [re.sub(r"\s+", " ", label) for label in shown] == SHOWN
    for order, expected in (("descending", FALLING), ("ascending", RISING), ("none", SHOWN)):
        head(tab, "20%").get_by_role("button").click()
        assert head(tab, "20%").get_attribute("aria-sort") == order
        assert [re.sub(r"\s+", " ", label) for label in labels(table)] == expected
        # Groups of rows have their heading in the table's own order only.
        assert table.locator("tbody.group").first.is_visible() == (order == "none")


def test_sorting_works_from_the_keyboard_and_by_another_column(tab):
    table = tab.locator("table").first
    head(tab, "20%").get_by_role("button").focus()
    tab.keyboard.press("Enter")
    assert labels(table)[0] == SHOWN[0]
    head(tab, "Method").get_by_role("button").focus()
    tab.keyboard.press("Space")
    assert head(tab, "20%").get_attribute("aria-sort") == "none"
    assert head(tab, "Method").get_attribute("aria-sort") == "ascending"
    assert sorted(labels(table), key=str.casefold)[1:] == [la for la in labels(table) if not la.startswith("<")]


def test_a_table_sorts_by_the_line_that_is_chosen(tab):
    choice = tab.get_by_label("Columns sort by").first
    assert choice.locator("option").all_inner_texts() == ["Best", "Best, published", "AUC"]
    choice.select_option(label="Best, published")
    head(tab, "20%").get_by_role("button").click()
    table = tab.locator("table").first
    texts = table.locator("tbody.row tr.published td[data-place]:nth-of-type(2)").all_inner_texts()
    numbers = [float(text.split()[0]) for text in texts if text != "–"]
    assert len(numbers) >= 2
    assert numbers == sorted(numbers, reverse=True)
    assert texts[len(numbers) :] == ["–"] * (len(texts) - len(numbers))


def test_the_filter_hides_rows_in_all_tables(tab):
    field = tab.get_by_label("Filter rows by method")
    field.fill("DIVIDE")
    suites = tab.locator("section.suite table")
    for i in range(2):
        assert labels(suites.nth(i)) == ["DivideMix"]
    assert tab.get_by_role("status").inner_text() == "2 of 10 rows"
    assert tab.locator("#runs tbody tr").count() == 6
    field.fill("no such thing")
    assert not tab.locator("section.suite").first.is_visible()
    field.fill("")
    assert len(labels(suites.first)) == len(ROWS)


def test_a_tooltip_says_n_std_seeds_and_keys_on_hover(tab, plan):
    cell(tab, 0).hover()
    tip = tab.get_by_role("tooltip")
    tip.wait_for()
    text = tip.inner_text()
    assert "n = 3, mean 90.00, std 0.50 (n−1)" in text
    for job, value in zip(plan.grid[0][0].jobs, ("89.50", "90.00", "90.50"), strict=True):
        assert re.search(rf"seed {job.seed}\s+{value}\s+{job.key[:12]}", text)
    tab.keyboard.press("Escape")
    assert not tip.is_visible()


def test_a_tooltip_comes_with_the_focus_and_names_what_went_wrong(tab):
    first = cell(tab, 0)
    tab.locator("table").first.evaluate("table => table.querySelector('button.sort').focus()")
    for _ in range(3):
        tab.keyboard.press("Tab")
    assert first.evaluate("cell => cell === document.activeElement")
    assert first.get_attribute("aria-describedby") == "tip"
    for _ in range(9):
        tab.keyboard.press("ArrowDown")
    tip = tab.get_by_role("tooltip").inner_text()
    assert "DivideMix" in tip
    assert re.search(r"seed 3\s+failed", tip)
    tab.keyboard.press("ArrowRight")
    assert re.search(r"seed 2\s+diverged", tab.get_by_role("tooltip").inner_text())
    assert tab.locator("td[tabindex='0']").count() == 2


def test_a_key_is_copied_whole(opened, plan):
    tab = opened(permissions=["clipboard-read", "clipboard-write"])
    cell(tab, 0).hover()
    tab.get_by_role("tooltip").get_by_role("button").first.click()
    tab.get_by_role("tooltip").locator("[data-copied=copied]").wait_for()
    assert tab.evaluate("navigator.clipboard.readText()") == plan.grid[0][0].jobs[0].key
    assert not tab.get_by_role("dialog").is_visible()


def test_a_click_opens_the_curves_of_the_runs(tab):
    cell(tab, 0).click()
    panel = tab.get_by_role("dialog")
    chart = panel.locator(".chart")
    assert panel.get_by_role("heading", level=2).inner_text() == ROWS[0]
    assert chart.locator("path.line").count() == 3
    assert chart.locator("circle.best").count() == 3
    assert "seed 2: best epoch 3" in chart.locator("circle.best").nth(1).text_content()
    assert chart.locator("path.line").first.get_attribute("d").count("L") == 3
    assert "main" in chart.inner_html()
    assert panel.get_by_role("radio").count() == 4
    panel.get_by_text("Memorisation").click()
    # Seed 1 has none recorded.
    assert panel.locator(".chart path.line").count() == 2
    panel.locator(".chart").focus()
    tab.keyboard.press("ArrowLeft")
    assert panel.locator(".readout").inner_text() == "Epoch 4: seed 2 0.3750, seed 3 0.3750"
    tab.keyboard.press("Escape")
    assert not panel.is_visible()
    assert cell(tab, 0).evaluate("cell => cell === document.activeElement")


def test_curves_are_drawn_where_their_numbers_are(tab):
    cell(tab, 0).click()
    chart = tab.locator(".chart")
    box = chart.bounding_box()
    tab.mouse.move(box["x"] + box["width"] - 20, box["y"] + 50)
    # 12.34 a point of time, and the seed.
    expected = "Epoch 4: seed 1 38.02, seed 2 39.02, seed 3 40.02"
    assert tab.locator(".readout").inner_text() == expected
    ends = [path.get_attribute("d").split("L")[-1].split() for path in chart.locator("path.line").all()]
    heights = [float(y) for _, y in ends]
    assert heights == sorted(heights, reverse=True)
    assert len({x for x, _ in ends}) == 1


def test_the_panel_tells_where_each_run_is_from(tab, plan):
    cell(tab, 3, line=2).click()
    runs = tab.get_by_role("dialog").locator("details.run")
    assert runs.count() == 3
    runs.nth(2).locator("summary").click()
    text = runs.nth(2).inner_text()
    found = ["failed", ERROR, "h<o>st", "NVIDIA H200", "bf16", "torch 2.6.0", "c0ffee (with changes not committed)"]
    for part in [*found, "d" * 64, "e" * 64, "UTC", plan.grid[3][0].jobs[2].key[:12]]:
        assert part in text
    runs.nth(0).locator("summary").click()
    assert "80.00 in epoch 3" in runs.nth(0).inner_text()
    assert "61 s" in runs.nth(0).inner_text()


def test_the_list_of_runs_opens_the_panel_of_its_run(tab):
    runs = tab.locator("#runs")
    assert runs.locator("tbody tr").count() == 24
    runs.get_by_label("Status").select_option("failed")
    assert runs.locator("tbody tr").count() == 1
    runs.locator("tbody tr").get_by_role("button").first.click()
    panel = tab.get_by_role("dialog")
    assert panel.get_by_role("heading", level=2).inner_text().startswith("DivideMix")
    assert panel.locator("details.run[open]").count() == 1
    assert ERROR in panel.locator("details.run[open]").inner_text()


def test_hostile_labels_are_shown_as_they_are(tab):
    cell(tab, 2).click()
    title = tab.get_by_role("dialog").get_by_role("heading", level=2).inner_text()
    assert re.sub(r"\s+", " ", title).startswith(re.sub(r"\s+", " ", HOSTILE))
    assert tab.locator("main img, main script, dialog script, h1 b, dialog b").count() == 0


def test_a_row_without_a_method_says_so(tab):
    cell(tab, 4).click()
    assert "not in lnlbench" in tab.get_by_role("dialog").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_needs_no_sideways_scrolling_of_the_page(opened, scheme):
    tab = opened(400, 800, color_scheme=scheme, has_touch=True)
    assert tab.evaluate("document.documentElement.scrollWidth") <= 400
    cell(tab, 0).tap()
    box = tab.get_by_role("dialog").locator(".chart").bounding_box()
    assert 300 < box["width"] <= 400
    assert tab.evaluate("document.documentElement.scrollWidth") <= 400
    tab.get_by_role("button", name="Close").tap()
    assert not tab.get_by_role("dialog").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(opened, scheme):
    tab = opened(color_scheme=scheme)
    ratios = tab.evaluate(
        """() => {
          const light = text => {
            const [r, g, b] = text.match(/[0-9.]+/g).slice(0, 3).map(v => v / 255)
              .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
          };
          const ground = light(getComputedStyle(document.body).backgroundColor);
          return ['td[data-place]', 'tr.published td', '.caption', '.notes', 'td.none', '.over', 'button.key',
                  'header dt', '.badge.failed'].map(name => {
            const ink = light(getComputedStyle(document.querySelector(name)).color);
            return [name, (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05)];
          });
        }"""
    )
    assert [name for name, ratio in ratios if ratio < 4.5] == []


def test_tables_and_figures_read_without_a_script(opened):
    tab = opened(java_script_enabled=False)
    assert tab.locator("section.suite").count() == 2
    assert tab.get_by_text("90.0 ± 0.5").first.is_visible()
    assert tab.locator("figure svg").first.is_visible()
    assert tab.locator("#provenance").get_by_text("h<o>st").is_visible()
    assert not tab.locator("#runs").is_visible()


def test_it_prints_all_tables(tab):
    tab.emulate_media(media="print")
    assert not tab.locator("nav").is_visible()
    assert tab.locator("section.suite table").nth(1).is_visible()
    assert tab.pdf(format="A4").startswith(b"%PDF")
