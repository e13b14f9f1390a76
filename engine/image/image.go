// Package image turns image files into 8-bit RGB pixels the way vision
// training expects them: JPEG, PNG, GIF (first frame), BMP and WebP, with
// EXIF orientation applied, and resized with Pillow's antialiased filters,
// bit for bit. It imports nothing of this project and never panics on input.
package image

import "fmt"

// MaxPixels is the largest width x height that is decoded. What claims more is
// refused from its header alone (a decompression bomb).
const MaxPixels = 100_000_000

// RGB is a picture: 8 bits a channel, rows top down, R G B interleaved ("HWC").
type RGB struct {
	Width, Height int
	Pix           []byte // length 3*Width*Height
}

// New returns a black picture.
func New(width, height int) *RGB {
	return &RGB{Width: width, Height: height, Pix: make([]byte, 3*width*height)}
}

// row returns the 3*Width bytes of row y.
func (m *RGB) row(y int) []byte {
	n := 3 * m.Width
	return m.Pix[y*n : y*n+n : y*n+n]
}

// Format is an image file format, recognised by content and not by name.
type Format string

const (
	JPEG Format = "jpeg"
	PNG  Format = "png"
	GIF  Format = "gif"
	BMP  Format = "bmp"
	WebP Format = "webp"
)

// Config is what a file's header says.
type Config struct {
	Format        Format
	Width, Height int // as shown, after Orientation
	Orientation   int // EXIF 1..8; 1 where absent
}

// UnknownFormatError says that content is no image that can be read here.
type UnknownFormatError struct {
	Looks string // what it looks like instead: "HTML", "SVG", …; "" = unknown
}

func (e *UnknownFormatError) Error() string {
	if e.Looks != "" {
		return "not an image: the content is " + e.Looks + "; wanted JPEG, PNG, GIF, BMP or WebP"
	}
	return "not an image: the content is none of JPEG, PNG, GIF, BMP, WebP"
}

// TooLargeError says that a header claims more than MaxPixels.
type TooLargeError struct {
	Width, Height int
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("decompression bomb: the header claims %dx%d = %d megapixels, at most %d are decoded; shrink the image first",
		e.Width, e.Height, int64(e.Width)*int64(e.Height)/1_000_000, MaxPixels/1_000_000)
}

// CorruptError says that a file of a known format cannot be decoded.
type CorruptError struct {
	Format Format
	Err    error
}

func (e *CorruptError) Error() string { return fmt.Sprintf("corrupt %s: %v", e.Format, e.Err) }

// Unwrap returns the decoder's error.
func (e *CorruptError) Unwrap() error { return e.Err }
