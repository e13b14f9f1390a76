import { commands, workspace, type ExtensionContext } from "vscode";
import { LanguageClient, TransportKind } from "vscode-languageclient/node";

// The extension starts `runner lsp` and lets the client library do the rest.
// What is right and wrong, and what may be written where, the runner says.

let client: LanguageClient | undefined;

export async function activate(context: ExtensionContext): Promise<void> {
  context.subscriptions.push(
    commands.registerCommand("trainwright.restart", restart),
    workspace.onDidChangeConfiguration((e) => {
      if (e.affectsConfiguration("trainwright.runner.path") || e.affectsConfiguration("trainwright.files")) void restart();
    }),
  );
  await start();
}

export async function deactivate(): Promise<void> {
  await client?.dispose();
  client = undefined;
}

async function restart(): Promise<void> {
  await deactivate();
  await start();
}

async function start(): Promise<void> {
  const settings = workspace.getConfiguration("trainwright");
  client = new LanguageClient(
    "trainwright",
    "Trainwright",
    { command: settings.get("runner.path", "runner"), args: ["lsp"], transport: TransportKind.stdio },
    { documentSelector: [{ scheme: "file", language: "hcl", pattern: settings.get("files", "**/*.hcl") }] },
  );
  await client.start(); // where the program is missing the client says so
}
