# 程序重启时，自动恢复之前的状态
manager = DataSourceManager()

# 从数据库加载所有数据源
loaded_count = manager.load_from_db()
print(f"加载了 {loaded_count} 个数据源")

# 恢复之前运行的数据源
restore_result = manager.restore_running_states()
print(f"恢复了 {restore_result['restored_count']} 个数据源")
