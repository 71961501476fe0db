#include "clusterctl/policy/toml_tree.h"

#include <cstdio>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>

#define TOML_HEADER_ONLY 1
#define TOML_SHARED_LIB 0
#define TOML_ENABLE_FORMATTERS 0
#define TOML_ENABLE_WINDOWS_COMPAT 0
#define TOML_EXCEPTIONS 1
/* What toml++ takes for impossible is an error like any other, where it can be, and not the end of
 * the program. */
namespace
{
[[noreturn]] void give_up()
{
    throw std::logic_error("toml++");
}
} // namespace
#define TOML_ASSERT(expression) ((expression) ? static_cast<void>(0) : give_up())
#include <toml++/toml.hpp>

extern "C" {
#include "base/arena.h"
#include "base/err.h"
}

namespace
{

struct builder {
    ray_arena *arena;

    [[nodiscard]] const char *copy(std::string_view text) const
    {
        auto *bytes = static_cast<char *>(ray_arena_alloc(arena, text.size() + 1));

        if (bytes == nullptr) {
            throw std::bad_alloc();
        }
        if (!text.empty()) {
            std::memcpy(bytes, text.data(), text.size());
        }
        bytes[text.size()] = '\0';
        return bytes;
    }

    [[nodiscard]] toml_tree *make(const toml::node &node) const
    {
        auto *tree = static_cast<toml_tree *>(ray_arena_alloc(arena, sizeof(toml_tree)));

        if (tree == nullptr) {
            throw std::bad_alloc();
        }
        *tree = toml_tree{};
        tree->key = "";
        tree->line = node.source().begin.line;
        tree->column = node.source().begin.column;
        tree->key_line = tree->line;
        tree->key_column = tree->column;
        tree->type = TOML_TREE_OTHER;
        return tree;
    }

    /* Depth is bounded by the caller's check below, and by toml++'s own. */
    [[nodiscard]] toml_tree *build(const toml::node &node, int depth) const
    {
        toml_tree *tree = make(node);
        toml_tree **end = &tree->first;

        if (depth == TOML_TREE_DEPTH_MAX) {
            throw std::length_error("too deep");
        }
        if (const auto *table = node.as_table()) {
            tree->type = TOML_TREE_TABLE;
            for (const auto &[key, value] : *table) {
                *end = build(value, depth + 1);
                (*end)->key = copy(key.str());
                (*end)->key_line = key.source().begin.line;
                (*end)->key_column = key.source().begin.column;
                end = &(*end)->next;
            }
        } else if (const auto *array = node.as_array()) {
            tree->type = TOML_TREE_ARRAY;
            for (const auto &value : *array) {
                *end = build(value, depth + 1);
                end = &(*end)->next;
            }
        } else if (const auto *string = node.as_string()) {
            tree->type = TOML_TREE_STRING;
            tree->text = copy(string->get());
            tree->text_size = string->get().size();
        } else if (const auto *integer = node.as_integer()) {
            tree->type = TOML_TREE_INTEGER;
            tree->number = integer->get();
        }
        return tree;
    }
};

int read(std::string_view text, ray_arena *arena, toml_tree **out, toml_tree_error *out_error)
{
    try {
        const toml::table root = toml::parse(text);

        *out = builder{arena}.build(root, 0);
        return RAY_OK;
    } catch (const toml::parse_error &error) {
        out_error->line = error.source().begin.line;
        out_error->column = error.source().begin.column;
        (void)std::snprintf(out_error->message, sizeof out_error->message, "%.*s",
                            static_cast<int>(error.description().size()),
                            error.description().data());
        return RAY_EMALFORMED;
    } catch (const std::length_error &) {
        return RAY_ETOOBIG;
    } catch (const std::logic_error &) {
        (void)std::snprintf(out_error->message, sizeof out_error->message,
                            "the parser does not know what to make of it");
        return RAY_EMALFORMED;
    } catch (...) {
        return RAY_ENOMEM;
    }
}

} // namespace

extern "C" int toml_tree_read(const char *text, size_t size, struct ray_arena *arena,
                              struct toml_tree **out, struct toml_tree_error *out_error)
{
    return read(std::string_view(text, size), arena, out, out_error);
}
