# 数据源在出错时会自动：
# 1. 记录错误信息到状态
# 2. 增加错误计数
# 3. 保存错误状态到数据库
# 4. 继续尝试运行（根据配置）

# 检查错误状态
if source.state.status == "error":
    print(f"错误信息: {source.state.last_error}")
    print(f"错误计数: {source.state.error_count}")
    
    # 可以尝试重启
    source.stop()
    source.start()
