/* The interpreter of Lua for one program: lua PROGRAM ARGUMENT... */
#include <stdio.h>
#include <stdlib.h>

#include "lauxlib.h"
#include "lua.h"
#include "lualib.h"

static int traced(lua_State *lua) {
    luaL_traceback(lua, lua, lua_tostring(lua, 1), 1);
    return 1;
}

int main(int argc, char **argv) {
    lua_State *lua = luaL_newstate();
    if (argc < 2 || !lua) {
        fputs("usage: lua PROGRAM ARGUMENT...\n", stderr);
        return 2;
    }
    luaL_openlibs(lua);
    lua_createtable(lua, argc - 2, 1);
    for (int at = 1; at < argc; at++) {
        lua_pushstring(lua, argv[at]);
        lua_rawseti(lua, -2, at - 1);
    }
    lua_setglobal(lua, "arg");
    lua_pushcfunction(lua, traced);
    int failed = luaL_loadfile(lua, argv[1]);
    if (!failed) {
        for (int at = 2; at < argc; at++) lua_pushstring(lua, argv[at]);
        failed = lua_pcall(lua, argc - 2, 0, 1);
    }
    if (failed) fprintf(stderr, "lua: %s\n", lua_tostring(lua, -1));
    lua_close(lua);
    return failed ? 1 : 0;
}
