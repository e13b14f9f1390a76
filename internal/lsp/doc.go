// Package lsp is a language server: it tells an editor over standard input and
// output what is wrong with a pipeline as it is being written, what may stand
// at the cursor, what a word means and where it is declared.
//
// What it says comes from hclspec, in a child process (Answer, run by the
// hidden command `analyze`): text that takes too much ends the child, is told
// as a diagnostic, and the editor's server goes on.
package lsp
