// The page in a browser: a real training from start to end, the form for every
// preset and condition, hostile text, the keyboard, and who sees it how.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync, renameSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { missing, runnerBin, shot, Site, token } from "./site.mjs";

const lacking = missing();
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const pipeline = `pipeline "glyphs" {}

dataset "glyphs" {
  format = "imagefolder"
  path   = "data"
}

model "net" {
  adapter    = "native"
  name       = "convnet"
  task       = "image_classification"
  image_size = 32
}

train "reader" {
  model      = model.net
  dataset    = dataset.glyphs
  epochs     = 4
  batch_size = 16
  seed       = 1
}
`;

// Large enough images that a fast machine does not end before the page looks.
const watched = pipeline.replace("image_size = 32", "image_size = 96");

// What a folder may be called, and so a class.
const hostileClass = "<img src=x onerror=window.hacked=5>";
const slow = (name, more) => pipeline.replace('"glyphs" {}', `"${name}" {}`).replace('"data"', '"../data"').replace("epochs     = 4", `epochs     = 400\n  ${more}`);

const hostile = `"><img src=x onerror="window.hacked=1"><script>window.hacked=2</script><svg onload=window.hacked=3>javascript:window.hacked=4 \u001b]0;x\u0007 {{7*7}}`;

describe("page", { skip: lacking ? `skipped: ${lacking}` : false }, () => {
  const site = new Site();

  before(async () => {
    await site.runner("dataset", "sample", "glyphs", "data", "--classes", "4", "--per-class", "24", "--val-per-class", "6");
    for (const split of ["train", "val"]) renameSync(path.join(site.dir, "data", split, "D_upper"), path.join(site.dir, "data", split, hostileClass));
    site.file("main.hcl", watched);
    await site.start();
  });
  after(() => site.stop());

  const quiet = (t) => assert.deepEqual(site.trouble.splice(0), [], `in ${t.name}`);

  test("a training is watched from start to end", async (t) => {
    const page = await site.open();
    await site.go(page, "runs");
    await page.getByText("Nothing has run yet").waitFor();
    const apply = spawn(runnerBin, ["apply", "--auto-approve"], { cwd: site.dir, stdio: ["ignore", "pipe", "pipe"] });
    let said = "";
    apply.stdout.on("data", (d) => (said += d));
    apply.stderr.on("data", (d) => (said += d));
    const ended = new Promise((done) => apply.on("exit", done));
    // From here on the page is never loaded again: all it shows comes to it.
    await page.getByRole("link", { name: "train.reader" }).click();
    await page.locator(".live.on").waitFor({ state: "attached" }).catch((e) => assert.fail(`${e.message}\n${said}`));
    await page.getByText(/epoch \d of 4/).waitFor();
    const points = async () => {
      const label = await page.locator(".plot").first().getAttribute("aria-label").catch(() => null);
      return label ?? "";
    };
    const seen = new Set();
    while ((await page.locator("h1 .badge.completed").count()) === 0) {
      seen.add(await points().catch(() => ""));
      assert.equal(apply.exitCode === null || apply.exitCode === 0, true, said);
      await page.waitForTimeout(100);
    }
    assert.equal(await ended, 0, said);
    assert.ok(seen.size >= 2, `the curves did not grow while it trained: ${[...seen]}`);
    await page.getByText("took").waitFor();
    assert.equal(await page.locator(".live.on").count(), 0);
    // What the page drew is what the API has.
    const answer = await (await fetch(`${site.url}/api/v1/runs/1/metrics`)).json();
    const loss = answer.series.find((s) => s.name === "loss" && s.split === "val").points;
    assert.equal(loss.length, 4);
    const plot = page.locator("figure", { hasText: "loss" }).first().locator(".plot");
    await plot.focus();
    for (let i = 0; i < 4; i++) await page.keyboard.press("ArrowRight");
    const caption = await page.locator("figure", { hasText: "loss" }).first().locator("figcaption").innerText();
    assert.match(caption, /epoch 4/);
    assert.ok(caption.includes(Number(loss[3].value).toFixed(loss[3].value >= 1 ? 3 : 4)), `${caption} has no ${loss[3].value}`);
    await shot(page, "run-curves");

    await page.getByRole("tab", { name: "Results" }).click();
    const canvas = page.locator(".matrix canvas");
    await canvas.scrollIntoViewIfNeeded();
    const box = await canvas.boundingBox();
    await page.mouse.move(box.x + box.width - 10, box.y + box.height - 10);
    await page.getByText(/taken for .*: \d+ of 6 images/).waitFor();
    await page.waitForFunction(() => [...document.querySelectorAll(".samples img")].length > 0 && [...document.querySelectorAll(".samples img")].slice(0, 6).every((i) => i.complete && i.naturalWidth > 0));
    assert.equal(await page.locator(".perclass tbody tr").count(), 4);
    const curves = page.locator(".prcurves svg[role=img]");
    const { validations } = await (await fetch(`${site.url}/api/v1/runs/1/validation?pr_curves=true`)).json();
    const [best] = [...validations].sort((a, b) => b.primary_metric_value - a.primary_metric_value || a.epoch - b.epoch);
    const ap = Object.entries(best.pr_curves).sort((a, b) => a[1].ap - b[1].ap || a[0].localeCompare(b[0]));
    assert.equal(ap.length, 4);
    assert.equal(await page.locator(".prcurves .keys li").count(), 4);
    assert.ok((await page.locator(".prcurves .keys li").first().innerText()).includes(ap[0][0]), "the weakest class is not first");
    await page.mouse.move(0, 0);
    await curves.focus();
    await page.keyboard.press("ArrowRight");
    const readout = page.locator(".prcurves .readout");
    await readout.getByText(", of what scores").waitFor();
    assert.ok((await readout.innerText()).startsWith(ap[0][0]), `${await readout.innerText()} is not of ${ap[0]}`);
    await page.locator(".prcurves .keys button").first().click();
    assert.equal(await curves.locator("polyline").count(), 3);
    assert.equal(await page.evaluate(() => window.hacked), undefined);
    await shot(page, "run-results");

    await page.getByRole("tab", { name: "Config" }).click();
    await page.getByText("Every value in force is the one that was asked for").waitFor();
    await page.getByText("This is the first run of train.reader").waitFor();
    await shot(page, "run-config");

    await page.getByRole("tab", { name: "Logs" }).click();
    await page.locator("pre.log").waitFor();
    assert.equal(await page.locator(".messages li", { hasText: /^.*epoch \d: train loss/ }).count(), 4);
    await shot(page, "run-logs");

    await page.getByRole("tab", { name: "Files" }).click();
    for (const [name, least] of [["model.onnx", 100_000], ["best", 100_000]]) {
      const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name, exact: true }).click()]);
      assert.ok(readFileSync(await download.path()).length > least, `${name} is too small`);
    }
    await shot(page, "run-files");
    await page.context().close();
    quiet(t);
  });

  test("runs are found and compared", async (t) => {
    site.file("main.hcl", watched.replace("epochs     = 4", "epochs     = 2").replace("seed       = 1", "seed       = 2\n  config {\n    optimizer {\n      type = \"sgd\"\n    }\n  }"));
    await site.runner("apply", "--auto-approve");
    const page = await site.open();
    await site.go(page, "runs");
    await page.getByLabel("compare job 1").check();
    await page.getByLabel("compare job 2").check();
    await page.getByRole("link", { name: "Compare 2" }).click();
    await page.getByRole("heading", { name: "Compare 2 runs" }).waitFor();
    await page.locator("tr", { hasText: "config.optimizer.type" }).getByText("sgd").waitFor();
    assert.equal(await page.locator("svg.parallel polyline").count(), 2);
    await shot(page, "compare");
    await site.go(page, "runs/2/config");
    await page.getByText("Compared with").waitFor();
    assert.equal(await page.locator("tr", { hasText: "seed" }).locator("ins").innerText(), "2");
    await site.go(page, "runs?status=failed");
    await page.getByText("No run matches").waitFor();
    await site.go(page, "runs?text=reader");
    await page.locator("table.runs tbody tr").nth(1).waitFor();
    assert.equal(await page.locator("table.runs tbody tr").count(), 2);
    await site.go(page, "runs/none");
    await page.getByRole("alert").getByText("there is no run").waitFor();
    await page.context().close();
    assert.deepEqual(site.trouble.splice(0).filter((s) => !/404/.test(s)), [], t.name);
  });

  test("a failed run says why, and one that runs is stopped", async (t) => {
    const page = await site.open({ signedIn: true });
    const apply = (name, more) => {
      site.file(`${name}/main.hcl`, slow(name, more));
      return site.runner(`--chdir=${name}`, "apply", "--auto-approve", `--store=${path.join(site.dir, ".runner/state.db")}`).catch((e) => e);
    };
    assert.equal((await apply("late", 'timeout    = "3s"')).code, 124);
    await site.go(page, "runs?status=failed");
    await page.getByRole("link", { name: "train.reader" }).click();
    await page.locator("h1 .badge.failed").waitFor();
    await page.getByRole("alert").getByText(/timeout/).waitFor();
    await page.getByRole("tab", { name: "Logs" }).click();
    await page.locator(".messages li.error").getByText(/timeout/).waitFor();
    await shot(page, "run-failed");

    const ended = apply("stopped", "");
    await site.go(page, "runs?status=running");
    await page.getByRole("link", { name: "train.reader" }).click();
    await page.locator(".tile", { hasText: /epoch \d+ of 400/ }).waitFor();
    assert.match(await page.title(), /\d %/);
    await page.getByRole("button", { name: "Stop" }).click();
    await page.getByRole("button", { name: "Stop the run" }).click();
    await page.locator("h1 .badge.cancelled").waitFor();
    assert.equal((await ended).code, 8);
    await page.context().close();
    quiet(t);
  });

  test("the form makes HCL that validate accepts, for every preset and condition", async (t) => {
    const page = await site.open({ signedIn: true, permissions: ["clipboard-read", "clipboard-write"] });
    const { schema, presets } = await (await fetch(`${site.url}/api/v1/training/config-schema?framework=native&task_type=image_classification`)).json();
    await site.go(page, "new");
    const dataset = page.getByRole("combobox", { name: "Dataset" });
    await page.waitForFunction(() => [...document.querySelectorAll("input[role=combobox]")].some((i) => i.value === "data")).catch(async () => assert.fail(`the folder under the data root is not offered: ${await dataset.inputValue()}`));
    const field = (name) => page.locator(`[data-field="${name}"]`);
    let checked = 0;
    const accepted = async (why) => {
      await page.getByText("✓ valid").waitFor().catch(async () => assert.fail(`${why}: ${await page.locator(".beside").innerText()}`));
      await page.getByRole("button", { name: "Copy" }).click();
      const text = await page.evaluate(() => navigator.clipboard.readText());
      const file = site.file(`form-${checked++}.hcl`, text);
      await site.runner("validate", file).catch((e) => assert.fail(`${why}: ${e.stdout}${e.stderr}\n${text}`));
      await site.runner("fmt", "--check", file).catch((e) => assert.fail(`${why} is not formatted: ${e.stdout}\n${text}`));
      return text;
    };
    await accepted("the defaults");
    for (const preset of Object.keys(presets)) {
      await page.getByLabel("Preset").selectOption(preset);
      const text = await accepted(`preset ${preset}`);
      assert.match(text, new RegExp(`preset += "${preset}"`));
    }
    await page.getByLabel("Preset").selectOption("");

    // Every value of every field that others hang on, with all that it shows written.
    const controlling = [...new Set(schema.fields.flatMap((f) => (f.condition ? [f.condition.field] : [])))];
    assert.ok(controlling.length >= 3, `conditions on ${controlling}`);
    for (const name of controlling) {
      const f = schema.fields.find((x) => x.name === name);
      const options = f.type === "boolean" ? [true, false] : f.options.map((o) => o.value);
      for (const option of options) {
        if (f.type === "boolean") await field(name).setChecked(option);
        else await field(name).selectOption(option);
        for (const child of schema.fields.filter((x) => x.condition?.field === name)) {
          const visible = [child.condition.value].flat().includes(option);
          assert.equal(await field(child.name).count(), visible ? 1 : 0, `${child.name} while ${name} is ${option}`);
          if (!visible) continue;
          if (child.type === "boolean") await field(child.name).setChecked(child.default !== true);
          else if (child.type === "select") await field(child.name).selectOption(child.options.at(-1).value);
          else await field(child.name).fill(String(child.default ?? child.min ?? 1));
        }
        await accepted(`${name} = ${option}`);
      }
      await page.getByRole("button", { name: `reset ${f.label ?? f.name}`, exact: true }).click();
    }
    await shot(page, "new");

    // A wrong value is told at its field and at its place in the HCL.
    const [number] = schema.fields.filter((f) => f.type === "number" && f.max !== undefined && !f.condition);
    await field(number.name).fill(String(number.max * 10 + 1));
    await page.locator(".line.wrong").filter({ has: field(number.name) }).locator(".error").waitFor();
    await page.waitForFunction(() => document.querySelector(".editor")?.shadowRoot?.querySelector(".cm-lintRange-error"));
    assert.ok(await page.getByRole("button", { name: "Save" }).isDisabled());
    await shot(page, "new-wrong");
    await field(number.name).fill("");
    await page.getByText("✓ valid").waitFor();

    // By hand: highlighted, checked at its range, and back to the form.
    const editor = page.locator(".editor .cm-content");
    await editor.click();
    await page.keyboard.press("Control+End");
    await page.keyboard.insertText('\noutput "a" {\n  valu = 1\n}\n');
    await page.getByLabel("Diagnostics").getByText(/"valu"/).first().waitFor().catch(async () => assert.fail(await page.locator(".beside").innerText()));
    const marked = () => page.evaluate(() => [...(document.querySelector(".editor")?.shadowRoot?.querySelectorAll(".cm-lintRange-error") ?? [])].map((e) => e.textContent).join("|"));
    for (let i = 0; i < 50 && !/valu\b/.test(await marked()); i++) await page.waitForTimeout(100);
    assert.match(await marked(), /valu\b/, await page.locator(".beside").innerText());
    await page.getByRole("button", { name: "Back to the form" }).click();
    await page.getByText("✓ valid").waitFor();

    await page.getByRole("button", { name: "Plan", exact: true }).click();
    await page.locator("svg.graph .node").first().focus();
    await page.locator("svg.graph .node.chosen").waitFor();
    await shot(page, "new-plan");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText("Saved as flowers/main.hcl").waitFor();
    await site.runner("validate", path.join(site.dir, "flowers"));
    assert.ok(checked >= 8, `${checked} texts validated`);
    t.diagnostic(`${checked} texts validated`);

    // Started, it is an apply whose steps show what becomes of them.
    await page.getByLabel("Epochs", { exact: true }).fill("1");
    await page.getByRole("button", { name: "Start" }).click();
    await page.getByRole("heading", { name: "Apply of flowers" }).waitFor();
    await page.locator(".apply svg.graph .node.completed").waitFor();
    await page.locator(".apply h2 .badge.completed").waitFor();
    await shot(page, "apply");
    await page.context().close();
    quiet(t);
  });

  for (const [adapter, task] of [["timm", "image_classification"], ["transformers", "image_classification"], ["transformers", "object_detection"], ...["object_detection", "instance_segmentation", "pose_estimation", "image_classification"].map((t) => ["ultralytics", t])]) {
    test(`the form of ${adapter} for ${task.replace("_", " ")} makes HCL that validate accepts`, async (t) => {
      const page = await site.open({ signedIn: true });
      const { schema, presets } = await (await fetch(`${site.url}/api/v1/training/config-schema?framework=${adapter}&task_type=${task}`)).json();
      const { models } = await (await fetch(`${site.url}/api/v1/models/list?framework=${adapter}&task_type=${task}`)).json();
      const texts = new Map();
      /** rendered takes the server's answer to what act changed in the form. */
      const rendered = async (why, act) => {
        const answer = page.waitForResponse((r) => r.url().endsWith("/pipelines/render") && r.request().method() === "POST");
        await act();
        let got = await (await answer).json();
        // What is changed in a row is asked for once, after a pause: the last answer counts.
        for (let next; (next = await page.waitForResponse((r) => r.url().endsWith("/pipelines/render") && r.request().method() === "POST", { timeout: 450 }).catch(() => null)); ) got = await next.json();
        assert.ok(got.valid, `${why}: ${JSON.stringify(got.diagnostics)}\n${got.hcl}`);
        texts.set(why, got.hcl);
      };
      const field = (name) => page.locator(`[data-field="${name}"]`);
      await rendered("the defaults", () => site.go(page, `new?adapter=${adapter}&task=${task}&model=${models[0].model_name}`));
      for (const preset of Object.keys(presets)) await rendered(`preset ${preset}`, () => page.getByLabel("Preset").selectOption(preset));
      await rendered("no preset", () => page.getByLabel("Preset").selectOption(""));
      /** activate sets what a field depends on, the outermost first. */
      const activate = async (name) => {
        const { condition } = schema.fields.find((f) => f.name === name);
        if (!condition) return;
        await activate(condition.field);
        const [want, control] = [[condition.value].flat()[0], field(condition.field)];
        if (typeof want === "boolean") {
          if ((await control.isChecked()) !== want) await rendered(`${name} may be set`, () => control.setChecked(want));
        } else if ((await control.inputValue()) !== want) await rendered(`${name} may be set`, () => control.selectOption(want));
      };
      const controlling = [...new Set(schema.fields.flatMap((f) => (f.condition ? [f.condition.field] : [])))];
      assert.ok(controlling.length >= 1);
      for (const name of controlling) {
        const f = schema.fields.find((x) => x.name === name);
        await activate(name);
        for (const option of f.type === "boolean" ? [true, false] : f.options.map((o) => o.value)) {
          const children = schema.fields.filter((x) => x.condition?.field === name);
          const visible = children.filter((c) => [c.condition.value].flat().includes(option));
          await rendered(`${name} = ${option}`, async () => {
            if (f.type === "boolean") {
              await field(name).setChecked(!option);
              await field(name).setChecked(option);
            } else {
              await field(name).selectOption(f.options.find((o) => o.value !== option).value);
              await field(name).selectOption(option);
            }
            for (const c of visible) {
              if (c.type === "boolean") await field(c.name).setChecked(c.default !== true);
              else if (c.type === "select") await field(c.name).selectOption(c.options.at(-1).value);
              else await field(c.name).fill(String(c.default ?? c.min ?? 1));
            }
          });
          for (const c of children) assert.equal(await field(c.name).count(), visible.includes(c) ? 1 : 0, `${c.name} while ${name} is ${option}`);
          for (const c of visible) assert.match(texts.get(`${name} = ${option}`), new RegExp(`\\b${c.name.split(".").at(-1)} += `), `${c.name} is not in the text`);
        }
        const reset = page.getByRole("button", { name: `reset ${f.label ?? f.name}`, exact: true });
        if (await reset.count()) await reset.click();
      }
      await shot(page, `new-${adapter}-${task}`);
      let n = 0;
      for (const [why, text] of texts) {
        const file = site.file(`forms/${adapter}-${task}-${n++}.hcl`, text);
        await site.runner("validate", file).catch((e) => assert.fail(`${why}: ${e.stdout}${e.stderr}\n${text}`));
      }
      t.diagnostic(`${texts.size} texts validated`);
      await page.context().close();
      quiet(t);
    });
  }

  test("the editor completes and explains what the server knows", async (t) => {
    const page = await site.open({ signedIn: true, expected: (s) => /assist/.test(s) && /ERR_FAILED/.test(s) });
    await site.go(page, "new");
    const editor = page.locator(".editor .cm-content");
    await editor.locator(".cm-line", { hasText: "epochs" }).waitFor();
    const text = async () => (await editor.locator(".cm-line").allInnerTexts()).join("\n");
    const list = page.locator(".cm-tooltip-autocomplete");
    /** holds waits until the editor's text does. */
    const holds = async (want, patience = 60_000) => {
      for (const until = Date.now() + patience; Date.now() < until; await page.waitForTimeout(50)) if (want.test(await text())) return true;
      return false;
    };
    /** take accepts a completion by the keyboard, however late the list comes and takes keys. */
    const take = async (label, want) => {
      for (let i = 0; i < 20; i++) {
        if (!(await list.isVisible())) await page.keyboard.press("Control+Space");
        await list.locator("li[aria-selected]", { has: page.locator(".cm-completionLabel", { hasText: label }) }).waitFor();
        await page.keyboard.press("Enter");
        if (await holds(want, 2_000)) return;
        await page.keyboard.press("Control+z"); // the key came before the list took any: a new line
      }
      assert.fail(`${label} is not taken: ${await text()}`);
    };

    // Places after characters of several bytes, too.
    await editor.click();
    await page.keyboard.press("Control+Home");
    await page.keyboard.insertText("# 값 😀 é\n");
    await page.keyboard.press("Control+End");
    await page.keyboard.type("\nout");
    await take(/^output$/, /\noutput "name" \{\n {2}value = \n\}/);
    await page.keyboard.type("best"); // in place of the name, which is selected
    await page.keyboard.press("Tab");
    await page.keyboard.type("train.job.bes");
    await take(/^best$/, /value = train\.job\.best/);
    for (let i = 0; i < "best".length; i++) await page.keyboard.press("Backspace");
    await page.keyboard.type("met");
    await take(/^metrics$/, /value = train\.job\.metrics/);
    await page.keyboard.type(".accur");
    await take(/^accuracy$/, /\noutput "best" \{\n {2}value = train\.job\.metrics\.accuracy\n\}/);
    await page.getByText("✓ valid").waitFor();
    assert.match(await text(), /^# 값 😀 é\n/);
    await shot(page, "new-completed");

    // The word under the pointer is explained.
    const explanation = page.locator(".cm-explanation");
    const line = editor.locator(".cm-line", { hasText: "epochs" });
    await line.scrollIntoViewIfNeeded();
    for (let i = 0; i < 40 && !(await explanation.isVisible()); i++) {
      const box = await line.locator("span", { hasText: "epochs" }).boundingBox();
      await page.mouse.move(box.x + 5 + (i % 8) * 4, box.y + box.height / 2);
      await explanation.waitFor({ timeout: 1_500 }).catch(() => {});
    }
    assert.match(await explanation.innerText(), /passes over|epochs/i);
    await shot(page, "new-explained");
    await page.mouse.move(0, 0);
    await explanation.waitFor({ state: "hidden" });

    // A question that is stale is given up; what comes late is not shown.
    let release;
    const held = new Promise((done) => (release = done));
    let asked = 0;
    await page.route("**/pipelines/assist", async (route) => {
      if (asked++ === 0) await held;
      await route.continue().catch(() => {}); // it was given up
    });
    await page.keyboard.press("Control+End");
    const givenUp = page.waitForEvent("requestfailed", (r) => r.url().endsWith("/assist"));
    const first = page.waitForRequest("**/pipelines/assist");
    await page.keyboard.type("\ntr");
    await first;
    await page.keyboard.type("ain");
    await givenUp;
    release();
    await list.locator("li[aria-selected]", { hasText: "train" }).waitFor();
    await page.keyboard.press("Escape");
    await page.unroute("**/pipelines/assist");

    // Without the server one goes on writing.
    await page.route("**/pipelines/assist", (route) => route.abort());
    const failed = page.waitForEvent("requestfailed", (r) => r.url().endsWith("/assist"));
    await page.keyboard.type("\nch");
    await failed;
    await page.keyboard.type("eck");
    assert.ok(await holds(/\ncheck$/), await text());
    assert.equal(await list.count(), 0);
    await page.unroute("**/pipelines/assist");
    await take(/^check$/, /\ncheck "name" \{/);
    await page.context().close();
    quiet(t);
  });

  test("a model is found by typing, and any folder may be a dataset", async (t) => {
    const page = await site.open({ signedIn: true });
    await site.go(page, "new?adapter=timm");
    const model = page.getByRole("combobox", { name: "Model" });
    await model.fill("resnet18");
    await page.getByRole("option", { name: /^resnet18\b/ }).first().waitFor();
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.querySelector(".editor")?.shadowRoot?.textContent?.includes('"resnet18"'));
    const dataset = page.getByRole("combobox", { name: "Dataset" });
    await dataset.fill("elsewhere/pictures");
    await page.keyboard.press("Tab");
    await page.waitForFunction(() => document.querySelector(".editor")?.shadowRoot?.textContent?.includes('"elsewhere/pictures"'));
    await page.context().close();
    quiet(t);
  });

  test("changing something asks for a token, or the one-time address", async (t) => {
    const page = await site.open({ expected: (s) => /401/.test(s) });
    await site.go(page, "new");
    const dialog = page.getByRole("dialog", { name: "Sign in" });
    await dialog.getByLabel("Token").fill("wrong-token-of-the-page-tests");
    await dialog.getByRole("button", { name: "Sign in" }).click();
    await dialog.getByRole("alert").waitFor();
    await dialog.getByLabel("Token").fill(token);
    await page.keyboard.press("Enter");
    await dialog.waitFor({ state: "hidden" });
    await page.getByText(/✓ valid|to mend/).first().waitFor();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByRole("button", { name: "Sign in" }).waitFor();
    assert.ok(site.loginURL, "serve printed no one-time address");
    await page.goto(site.loginURL);
    await page.getByRole("button", { name: "Sign out" }).waitFor();
    assert.equal(new URL(page.url()).search, "");
    await page.goto(site.loginURL);
    assert.match(await page.locator("body").innerText(), /used already/);
    await page.context().close();
    quiet(t);
  });

  test("hostile text in every answer runs nothing", async (t) => {
    const page = await site.open({ signedIn: true, expected: (s) => /404|Failed to load resource/.test(s) });
    const kept = new Set(["status", "state", "run_id", "time", "created", "started", "ended", "type", "field", "split", "framework", "origin", "severity", "kind", "proof"]);
    const spoil = (v, key) => {
      if (typeof v === "string") return kept.has(key) || ["NaN", "Infinity", "-Infinity"].includes(v) ? v : `${v}${hostile}`;
      if (Array.isArray(v)) return v.map((x) => spoil(x, key));
      if (v && typeof v === "object") return Object.fromEntries(Object.entries(v).map(([k, x]) => [["metrics", "per_class_metrics", "pr_curves", "requested", "values", "environment", "unsupported", "attributes"].includes(key) ? `${k}${hostile}` : k, spoil(x, k)]));
      return v;
    };
    let spoilt = 0;
    await page.route(/\/api\/v1\/|\/openapi/, async (route) => {
      if (route.request().url().includes("/events") || route.request().url().includes("/picture") || route.request().url().includes("openapi")) return route.continue();
      const answer = await route.fetch();
      const text = await answer.text();
      spoilt++;
      return route.fulfill({ response: answer, body: JSON.stringify(spoil(JSON.parse(text), "")) });
    });
    for (const place of ["runs", "runs/1", "runs/1/results", "runs/1/config", "runs/1/logs", "runs/1/files", "runs/2/config", `runs?apply=${(await (await fetch(`${site.url}/api/v1/applies`)).json()).applies[0].apply_id}`, "compare/1,2", "models?adapter=native", "new", `runs?text=${encodeURIComponent(hostile)}`, `runs/${encodeURIComponent(hostile)}`, `${encodeURIComponent(hostile)}/x`]) {
      await site.go(page, place);
      await page.locator("h1").waitFor();
      await page.waitForTimeout(700);
      assert.equal(await page.evaluate(() => window.hacked), undefined, place);
      assert.equal(await page.locator("main script, main img[src='x'], main svg[onload], main [onerror]").count(), 0, place);
    }
    assert.ok(spoilt > 15, `${spoilt} answers`);
    // So in what the editor offers, says of it, and explains.
    await site.go(page, "new");
    const editor = page.locator(".editor .cm-content");
    await editor.locator(".cm-line").first().click();
    await page.keyboard.press("Control+Home");
    await page.keyboard.press("Control+Space");
    await page.locator(".cm-tooltip-autocomplete li", { hasText: "onerror" }).first().waitFor();
    await page.locator(".cm-completionInfo", { hasText: "onerror" }).waitFor();
    assert.equal(await page.evaluate(() => window.hacked), undefined, "completions");
    assert.equal(await page.evaluate(() => document.querySelector(".editor").shadowRoot.querySelectorAll("script, img, svg, [onerror]").length), 0, "completions");
    await page.context().close();
    quiet(t);
  });

  test("the keyboard reaches everything", async (t) => {
    const page = await site.open({ signedIn: true });
    await site.go(page, "runs");
    await page.getByRole("link", { name: "train.reader" }).first().waitFor();
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "To the content");
    const walked = new Set();
    for (let i = 0; i < 60; i++) {
      await page.keyboard.press("Tab");
      const at = await page.evaluate(() => {
        const e = document.activeElement;
        const r = e.getBoundingClientRect();
        return { name: e.getAttribute("aria-label") || e.labels?.[0]?.textContent || e.textContent || e.tagName, seen: r.width > 0 && r.height > 0, ring: getComputedStyle(e).outlineStyle, body: e === document.body };
      });
      if (at.body) break;
      assert.ok(at.seen && at.ring !== "none", `focus is not seen on ${at.name}`);
      walked.add(at.name.trim());
    }
    for (const want of ["Runs", "Compare", "Models", "New pipeline", "compare job 1", "train.reader"]) assert.ok([...walked].some((w) => w.includes(want)), `Tab does not reach ${want}: ${[...walked]}`);

    // The oldest run: newer ones were stopped before they measured anything.
    await page.getByRole("link", { name: "train.reader" }).last().focus();
    await page.keyboard.press("Enter");
    await page.getByRole("tab", { name: "Curves" }).focus();
    await page.keyboard.press("ArrowRight");
    await page.waitForFunction(() => document.activeElement.textContent === "Results" && document.activeElement.getAttribute("aria-selected") === "true");
    await page.locator(".matrix canvas").focus();
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("ArrowDown");
    await page.getByText(/taken for/i).first().waitFor();

    await site.go(page, "compare/1,2");
    const line = page.locator("svg.parallel polyline").first();
    await line.focus();
    await page.locator("svg.parallel polyline.strong").waitFor();
    const chart = page.locator(".plot").first();
    await chart.focus();
    await page.keyboard.press("ArrowRight");
    await page.locator("figure figcaption").first().getByText("epoch 1").waitFor();

    await site.go(page, "new");
    await page.locator(".editor .cm-content").focus();
    await page.keyboard.press("Tab"); // and out again
    assert.notEqual(await page.evaluate(() => document.activeElement.className), "editor");
    await page.context().close();
    quiet(t);
  });

  test("it fits narrow screens, light and dark, and axe finds nothing", async (t) => {
    const applied = `runs?apply=${(await (await fetch(`${site.url}/api/v1/applies`)).json()).applies[0].apply_id}`;
    for (const [name, width, colorScheme] of [["light", 1280, "light"], ["dark", 1280, "dark"], ["narrow", 390, "light"]]) {
      const page = await site.open({ signedIn: true, colorScheme, viewport: { width, height: 844 }, reducedMotion: "reduce" });
      for (const place of ["runs", "runs/1", "runs/1/results", "runs/1/config", "runs/1/logs", "runs/1/files", "compare/1,2", "models?adapter=native", "models", "new", applied]) {
        await site.go(page, place);
        await page.locator("h1").waitFor();
        await page.waitForTimeout(place === "new" ? 1500 : 700);
        const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(over <= 0, `${name} ${place} is ${over} px too wide`);
        await shot(page, `${name}-${place === applied ? "apply" : place.replaceAll(/[^a-z0-9]+/g, "-")}`);
        if (name === "narrow") continue;
        await page.evaluate(axe);
        const found = await page.evaluate(() => window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21aa"] }));
        assert.deepEqual(found.violations.map((v) => `${v.id}: ${v.nodes.map((n) => `${n.target} ${n.any[0]?.message ?? ""}`).slice(0, 4)}`), [], `${name} ${place}`);
      }
      await page.context().close();
    }
    quiet(t);
  });
});
