package lsp

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/creachadair/jrpc2"

	"github.com/trainwright/trainwright/hclspec"
)

// open finds an open text.
func (s *Server) open(uri string) (*document, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.docs[uri]
	if d == nil {
		return nil, jrpc2.Errorf(jrpc2.InvalidParams, "%s is not open", uri)
	}
	return d, nil
}

// ask asks about a position of a pipeline's file. asked is false for texts of
// which only the syntax is known.
func (s *Server) ask(ctx context.Context, operation string, p positionParams) (r Reply, d *document, docs map[string]*document, asked bool, err error) {
	if d, err = s.open(p.TextDocument.URI); err != nil {
		return r, nil, nil, false, err
	}
	if d.path == "" || !hclspec.Belongs(filepath.Base(d.path)) {
		return r, d, nil, false, nil
	}
	dir := filepath.Dir(d.path)
	docs = s.held(dir)
	docs[d.path] = d // the text that the position is about
	r, err = s.answerer.ask(ctx, Question{Operation: operation, Dir: dir, Open: texts(docs), File: d.path,
		Byte: d.text.offset(p.Position), Declaration: p.Context.IncludeDeclaration})
	return r, d, docs, err == nil, err
}

func (s *Server) completion(ctx context.Context, p positionParams) (completionList, error) {
	out := completionList{Items: []completionItem{}}
	r, d, _, asked, err := s.ask(ctx, complete, p)
	if !asked {
		return out, err
	}
	s.mu.Lock()
	snippets := s.snippets
	s.mu.Unlock()
	for i, c := range r.Completions {
		item := completionItem{
			Label: c.Label, Kind: completionKinds[c.Kind], Detail: c.Detail, Documentation: markdown(c.Doc), SortText: fmt.Sprintf("%d%05d", c.Rank, i),
			InsertTextFormat: 1, TextEdit: TextEdit{Range: d.text.between(c.From, c.To), NewText: c.Insert},
		}
		if snippets && c.Snippet != "" {
			item.InsertTextFormat, item.TextEdit.NewText = 2, c.Snippet
		}
		out.Items = append(out.Items, item)
	}
	return out, nil
}

func (s *Server) hover(ctx context.Context, p positionParams) (*hover, error) {
	r, d, _, asked, err := s.ask(ctx, explain, p)
	if !asked || r.Hover == nil {
		return nil, err
	}
	return &hover{Contents: markdown(r.Hover.Text), Range: d.text.between(r.Hover.From, r.Hover.To)}, nil
}

func (s *Server) definition(ctx context.Context, p positionParams) ([]Location, error) {
	return s.places(ctx, definition, p)
}

func (s *Server) references(ctx context.Context, p positionParams) ([]Location, error) {
	return s.places(ctx, references, p)
}

func (s *Server) places(ctx context.Context, operation string, p positionParams) ([]Location, error) {
	r, _, docs, _, err := s.ask(ctx, operation, p)
	if err != nil {
		return nil, err
	}
	return s.locations(docs, r.Places), nil
}

func (s *Server) documentSymbol(ctx context.Context, p documentParams) ([]documentSymbol, error) {
	d, err := s.open(p.TextDocument.URI)
	if err != nil {
		return nil, err
	}
	r, err := s.answerer.ask(ctx, Question{Operation: symbols, File: d.path, Text: d.text.src})
	if err != nil {
		return nil, err
	}
	return d.symbols(r.Symbols), nil
}

func (d *document) symbols(list []hclspec.Symbol) []documentSymbol {
	out := []documentSymbol{}
	for _, s := range list {
		kind := 7
		if s.Kind == "block" {
			kind = 5
		}
		out = append(out, documentSymbol{Name: s.Name, Kind: kind, Range: d.text.between(s.Range.Start.Byte, s.Range.End.Byte),
			SelectionRange: d.text.between(s.Header.Start.Byte, s.Header.End.Byte), Children: d.symbols(s.Children)})
	}
	return out
}

// formatting lays a text out as `runner fmt` does. What is no HCL stays as it is.
func (s *Server) formatting(ctx context.Context, p documentParams) ([]TextEdit, error) {
	d, err := s.open(p.TextDocument.URI)
	if err != nil {
		return nil, err
	}
	r, err := s.answerer.ask(ctx, Question{Operation: format, File: d.path, Text: d.text.src})
	if err != nil {
		return nil, err
	}
	for _, problem := range r.Diagnostics {
		if problem.Severity == "error" {
			return []TextEdit{}, nil
		}
	}
	if edits := difference(d.text.src, r.Text); edits != nil {
		return edits, nil
	}
	return []TextEdit{}, nil
}
