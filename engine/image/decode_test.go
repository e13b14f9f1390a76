package image_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	stdimage "image"
	"image/color"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trainwright/trainwright/engine/image"
)

func at(m *image.RGB, x, y int) [3]byte {
	i := 3 * (y*m.Width + x)
	return [3]byte(m.Pix[i : i+3])
}

func close3(a, b [3]byte, tolerance int) bool {
	for i := range a {
		if d := int(a[i]) - int(b[i]); d > tolerance || -d > tolerance {
			return false
		}
	}
	return true
}

var (
	red   = [3]byte{255, 0, 0}
	green = [3]byte{0, 255, 0}
	blue  = [3]byte{0, 0, 255}
	white = [3]byte{255, 255, 255}
)

// wantQuarters checks the colours in the middle of the four quarters: upper
// left, upper right, lower left, lower right.
func wantQuarters(t *testing.T, m *image.RGB, quarters [4][3]byte, tolerance int) {
	t.Helper()
	for i, want := range quarters {
		x, y := m.Width/4+i%2*m.Width/2, m.Height/4+i/2*m.Height/2
		if got := at(m, x, y); !close3(got, want, tolerance) {
			t.Errorf("pixel (%d,%d) = %v, want %v", x, y, got, want)
		}
	}
}

func TestDecodeFormats(t *testing.T) {
	for format, tolerance := range map[string]int{"jpeg": 3, "png": 0, "gif": 0, "bmp": 0} {
		data := encode(t, format, pattern())
		c, err := image.DecodeConfig(data)
		if err != nil || string(c.Format) != format || c.Width != 64 || c.Height != 32 || c.Orientation != 1 {
			t.Errorf("%s: config %+v, %v", format, c, err)
		}
		m, err := image.Decode(data)
		if err != nil {
			t.Errorf("%s: %v", format, err)
			continue
		}
		wantQuarters(t, m, [4][3]byte{red, green, blue, white}, tolerance)
	}
}

// The files were written by Pillow from a 64x32 picture of the same pattern:
// lossy, lossless, with alpha, and an animation of two frames.
func TestDecodeWebPAndCMYK(t *testing.T) {
	for file, tolerance := range map[string]int{
		"lossy.webp": 12, "lossless.webp": 0, "alpha.webp": 12, "animated.webp": 12, "cmyk.jpg": 6, "progressive.jpg": 3,
	} {
		m, err := image.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			t.Error(err)
			continue
		}
		if m.Width != 64 || m.Height != 32 {
			t.Errorf("%s: %dx%d", file, m.Width, m.Height)
			continue
		}
		t.Run(file, func(t *testing.T) { wantQuarters(t, m, [4][3]byte{red, green, blue, white}, tolerance) })
	}
}

func TestDecodePixelTypes(t *testing.T) {
	bounds := stdimage.Rect(0, 0, 1, 1)
	gray16 := stdimage.NewGray16(bounds)
	gray16.SetGray16(0, 0, color.Gray16{0x12ff})
	rgba64 := stdimage.NewRGBA64(bounds)
	rgba64.SetRGBA64(0, 0, color.RGBA64{0x10ff, 0x20ff, 0x30ff, 0xffff})
	alpha := stdimage.NewNRGBA(bounds)
	alpha.SetNRGBA(0, 0, color.NRGBA{10, 20, 30, 128})
	palette := stdimage.NewPaletted(bounds, color.Palette{color.NRGBA{1, 2, 3, 255}, color.NRGBA{4, 5, 6, 0}})
	palette.SetColorIndex(0, 0, 1)
	for name, tt := range map[string]struct {
		m    stdimage.Image
		want [3]byte
	}{
		"16-bit gray":                {gray16, [3]byte{0x12, 0x12, 0x12}},
		"16-bit colour":              {rgba64, [3]byte{0x10, 0x20, 0x30}},
		"alpha is dropped":           {alpha, [3]byte{10, 20, 30}},
		"transparent palette colour": {palette, [3]byte{4, 5, 6}},
	} {
		m, err := image.Decode(encode(t, "png", tt.m))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got := at(m, 0, 0); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

// Every orientation stores the pattern turned so that it shows upright.
func TestOrientationShowsThePictureUpright(t *testing.T) {
	jpg := encode(t, "jpeg", pattern())
	// Where red, green, blue and white are seen when stored upright with that tag.
	want := [9][4][3]byte{
		1: {red, green, blue, white}, 2: {green, red, white, blue}, 3: {white, blue, green, red}, 4: {blue, white, red, green},
		5: {red, blue, green, white}, 6: {blue, red, white, green}, 7: {white, green, blue, red}, 8: {green, white, red, blue},
	}
	for orientation := 1; orientation <= 8; orientation++ {
		for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
			data := withOrientation(jpg, order, uint16(orientation))
			c, err := image.DecodeConfig(data)
			if err != nil || c.Orientation != orientation {
				t.Fatalf("orientation %d: config %+v, %v", orientation, c, err)
			}
			m, err := image.Decode(data)
			if err != nil {
				t.Fatal(err)
			}
			if m.Width != c.Width || m.Height != c.Height || (orientation >= 5) != (m.Width == 32) {
				t.Errorf("orientation %d: picture %dx%d, config %dx%d", orientation, m.Width, m.Height, c.Width, c.Height)
			}
			wantQuarters(t, m, want[orientation], 3)
		}
	}
	if c, err := image.DecodeConfig(withOrientation(jpg, binary.LittleEndian, 9)); err != nil || c.Orientation != 1 {
		t.Errorf("an invalid tag gave %+v, %v", c, err)
	}
}

func TestAnimationGivesItsFirstFrame(t *testing.T) {
	m, err := image.Decode(animation(t))
	if err != nil {
		t.Fatal(err)
	}
	wantQuarters(t, m, [4][3]byte{red, green, blue, white}, 0)
}

func TestDecompressionBombIsRefusedFromItsHeader(t *testing.T) {
	for name, data := range map[string][]byte{
		"png":  withSize(encode(t, "png", pattern()), 65500, 65500),
		"jpeg": jpegWithSize(encode(t, "jpeg", pattern()), 65500, 65500),
	} {
		_, err := image.Decode(data)
		var bomb *image.TooLargeError
		if !errors.As(err, &bomb) || bomb.Width != 65500 {
			t.Errorf("%s: error %v, want a TooLargeError", name, err)
			continue
		}
		if !strings.Contains(err.Error(), "65500x65500") {
			t.Errorf("message %q does not name the size", err)
		}
	}
}

func TestBadContentIsExplained(t *testing.T) {
	jpg := encode(t, "jpeg", pattern())
	for name, tt := range map[string]struct {
		data []byte
		want string
	}{
		"empty":           {nil, "empty"},
		"HTML":            {[]byte("\n<!DOCTYPE html><title>404</title>"), "HTML"},
		"SVG":             {[]byte(`<?xml version="1.0"?><svg xmlns="x"/>`), "SVG"},
		"LFS pointer":     {[]byte("version https://git-lfs.github.com/spec/v1\n"), "git lfs pull"},
		"text":            {[]byte("hello"), "not an image"},
		"cut JPEG":        {jpg[:len(jpg)/2], "corrupt jpeg"},
		"cut header":      {jpg[:20], "corrupt jpeg"},
		"cut PNG":         {encode(t, "png", pattern())[:70], "corrupt png"},
		"cut GIF":         {encode(t, "gif", pattern())[:40], "corrupt gif"},
		"cut WebP":        {[]byte("RIFF\x10\x00\x00\x00WEBPVP8 \xff\x00\x00\x00"), "corrupt webp"},
		"WebP of nothing": {[]byte("RIFF\x04\x00\x00\x00WEBP"), "no image chunk"},
		"cut BMP":         {encode(t, "bmp", pattern())[:60], "corrupt bmp"},
	} {
		if _, err := image.Decode(tt.data); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, tt.want)
		}
	}
}

func TestReadFileNamesThePath(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "page.jpg")
	if err := os.WriteFile(path, []byte("<html>"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{path, filepath.Join(dir, "missing.jpg"), dir} {
		if _, err := image.ReadFile(p); err == nil || !strings.Contains(err.Error(), p) {
			t.Errorf("error %v, want one naming %s", err, p)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(encode(f, "jpeg", pattern()))
	f.Add(withOrientation(encode(f, "jpeg", pattern()), binary.BigEndian, 6))
	f.Add(encode(f, "png", pattern()))
	f.Add(encode(f, "gif", pattern()))
	f.Add(animation(f))
	f.Add(encode(f, "bmp", pattern()))
	f.Add(withSize(encode(f, "png", pattern()), 65500, 65500))
	f.Add([]byte("<html>"))
	for _, name := range []string{"lossy.webp", "lossless.webp", "alpha.webp", "animated.webp", "cmyk.jpg", "progressive.jpg"} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		original := bytes.Clone(data)
		c, err := image.DecodeConfig(data)
		if err == nil && c.Width*c.Height > 1<<22 {
			t.Skip("large, slow and nothing new")
		}
		m, decodeErr := image.Decode(data)
		if !bytes.Equal(data, original) {
			t.Error("decoding changed its input")
		}
		if decodeErr != nil {
			return
		}
		if err != nil {
			t.Errorf("decoded although its header is refused: %v", err)
		}
		if len(m.Pix) != 3*m.Width*m.Height || m.Width < 1 || m.Height < 1 {
			t.Errorf("a picture of %dx%d with %d bytes", m.Width, m.Height, len(m.Pix))
		}
		dst := make([]byte, 3*16*16)
		image.Eval{Size: 16, CropPct: 0.9, Filter: image.Bicubic}.Apply(dst, m)
	})
}
